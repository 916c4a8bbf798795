// What JupyterLab and Notebook 7 load. It hands them the plugins, each in a file of its own, which
// is read as it stands: nothing is built. Whatever goes wrong here is a warning in the browser's
// console, and the page goes on without.

(() => {
  // With the version behind it, so that no browser keeps files of an older one.
  const { src } = document.currentScript;
  let shared = {};

  // They load while the page loads its own: it asks for them much later.
  const modules = ["prose.js", "copy.js"].map((file) => {
    const module = import(new URL(`${file}${new URL(src).search}`, src));
    module.catch(() => {}); // told below
    return [file, module];
  });

  // Of the packages that the page shares, the version that runs already, or else the newest.
  async function load(name) {
    const versions = Object.entries(shared[name] ?? {});
    versions.sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    const [, version] = versions.findLast(([, one]) => one.loaded) ?? versions.at(-1) ?? [];
    if (!version) {
      throw new Error(`this page does not share ${name}`);
    }
    return (await version.get())();
  }

  async function plugin([file, module]) {
    try {
      return await (await module).plugin(load);
    } catch (error) {
      console.warn(`mm_magic: ${file} is left out:`, error);
      return [];
    }
  }

  async function get() {
    const plugins = await Promise.all(modules.map(plugin));
    return () => ({ __esModule: true, default: plugins.flat() });
  }

  function init(scope) {
    shared = scope;
  }

  (window._JUPYTERLAB ??= {}).mm_magic = { init, get };
})();
