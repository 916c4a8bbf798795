// A button on each block of code in an answer, which copies the code. It stands in the page only:
// outputs are saved as the kernel sent them.

const BLOCKS = ".mm-answer div.highlight";
const BUTTON = "mm-copy";
const LABEL = "Copy code";
const SHOWN = 2000; // milliseconds
const ICONS = {
  copy: "M9 3h9a2 2 0 0 1 2 2v11h-2V5H9V3ZM6 7h8a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2Zm0 2v10h8V9H6Z",
  done: "m9.5 18.5-6-6 1.5-1.5 4.5 4.5L19 6l1.5 1.5-11 11Z",
};
const picture = (path) =>
  `url('data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="${path}"/></svg>')`;
// The pictures are in the style, so that an answer holds no element but the button.
const STYLE = `
.mm-answer div.highlight { position: relative; }
/* The code scrolls within the box, so that the button and the language's name stay where they are.
   What scrolls is not broken as well, and text without a language is broken and doesn't scroll. */
@media screen {
  .mm-answer div.highlight { overflow-x: visible !important; }
  .mm-answer div.highlight > pre { width: auto !important; max-width: none !important; }
  .mm-answer div.highlight > small + pre { overflow: auto hidden !important; }
  .mm-answer div.highlight > small + pre, .mm-answer div.highlight > small + pre > code {
    white-space: pre !important;
  }
  .mm-answer div.highlight > pre:first-child { overflow-wrap: anywhere !important; }
}
.${BUTTON} {
  position: absolute; top: 2px; right: 2px; width: 26px; height: 26px; padding: 4px; margin: 0;
  border: 1px solid var(--jp-border-color2); border-radius: 3px; cursor: pointer; opacity: 0;
  background: var(--jp-layout-color1); color: var(--jp-ui-font-color1); line-height: 0;
  user-select: none;
}
.${BUTTON}::before {
  content: ""; display: block; width: 16px; height: 16px; background: currentColor;
  mask: ${picture(ICONS.copy)} center / 100%;
}
.${BUTTON}.mm-copied::before { mask-image: ${picture(ICONS.done)}; }
div.highlight:hover > .${BUTTON}, .${BUTTON}:focus-visible, .${BUTTON}.mm-copied { opacity: 1; }
.${BUTTON}:hover { background: var(--jp-layout-color2); }
.${BUTTON}:focus-visible { outline: 2px solid var(--jp-brand-color1); }
@media (hover: none) { .${BUTTON} { opacity: 0.8; } }
@media print { .${BUTTON} { display: none; } }
.mm-said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
`;

export function plugin() {
  return {
    id: "mm_magic:copy",
    description: "Adds a copy button to each block of code in answers.",
    autoStart: true,
    activate: () => {
      try {
        watch();
      } catch (error) {
        console.warn("mm_magic: code has no copy button:", error);
      }
    },
  };
}

function watch() {
  const style = document.createElement("style");
  style.textContent = STYLE;
  document.head.append(style);
  const said = document.createElement("div");
  said.className = "mm-said";
  said.setAttribute("role", "status");
  document.body.append(said);
  const add = (root) => blocksIn(root).forEach((block) => addButton(block, said));
  const giveBackFocus = focusKeeper();
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      addedNodes.forEach(add);
    }
    giveBackFocus();
  }).observe(document.body, { childList: true, subtree: true });
  add(document.body);
}

function blocksIn(node) {
  if (!(node instanceof Element)) {
    return [];
  }
  const inside = [...node.querySelectorAll(BLOCKS)];
  return node.matches(BLOCKS) ? [node, ...inside] : inside;
}

function addButton(block, said) {
  const code = block.querySelector("pre");
  if (!code || block.querySelector(`:scope > .${BUTTON}`)) {
    return;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.className = BUTTON;
  // JupyterLab's own shortcuts would take Enter and Space.
  button.setAttribute("data-lm-suppress-shortcuts", "true");
  show(button, LABEL);
  button.addEventListener("click", async ({ detail }) => {
    if (detail > 0) {
      leave(button);
    }
    const isCopied = await copy(code.textContent.replace(/\n$/, ""));
    tell(button, said, isCopied ? "Copied" : "The browser refused to copy");
  });
  block.append(button);
}

// After a click with the mouse the cell has the focus, as after a click beside the button: else no
// shortcut would work, Shift+Enter included. The keyboard stays where it is; its clicks count 0.
function leave(button) {
  button.closest(".jp-Cell")?.focus({ preventScroll: true });
}

// An answer that grows is drawn anew: the button that had the focus goes, and its successor gets it.
function focusKeeper() {
  let last = null;
  document.addEventListener("focusin", ({ target }) => {
    const area = target.closest(`.${BUTTON}`)?.closest(".jp-OutputArea");
    last = area ? { area, button: target, place: buttonsIn(area).indexOf(target) } : null;
  });
  document.addEventListener("focusout", () => {
    const left = last;
    // A button that is being removed is still in the page here.
    queueMicrotask(() => {
      last = left === last && left?.button.isConnected ? null : last;
    });
  });
  return () => {
    const isLost = last && !last.button.isConnected && document.activeElement === document.body;
    if (isLost) {
      buttonsIn(last.area)[last.place]?.focus({ preventScroll: true });
    }
  };
}

function buttonsIn(area) {
  return [...area.querySelectorAll(`.${BUTTON}`)];
}

function show(button, label, isDone = false) {
  button.classList.toggle("mm-copied", isDone);
  button.setAttribute("aria-label", label);
  button.title = label;
}

function tell(button, said, text) {
  said.textContent = text;
  show(button, text, text === "Copied");
  setTimeout(() => {
    said.textContent = "";
    show(button, LABEL);
  }, SHOWN);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByEvent(text); // over plain http a browser has no clipboard object
  }
}

function copyByEvent(text) {
  const put = (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("copy", put, { capture: true, once: true });
  const isCopied = document.execCommand("copy");
  document.removeEventListener("copy", put, { capture: true });
  return isCopied;
}
