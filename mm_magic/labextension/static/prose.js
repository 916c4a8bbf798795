// A cell that begins with %%minimax holds prose, not Python: it gets Markdown's colours and wrapped
// lines, and no key types anything by itself, so that what is sent is what was typed. The cell stays
// a code cell for everybody else. Its type, its text and the file are never touched. In other cells
// only the lines of %minimax and %load_ext mm_magic have colours of their own.

// As the kernel reads it: other cell magics may stand above. A space before it is an error of the
// kernel's, and still the beginning of a prompt. \b: a name is read in one way only, else each line
// would multiply the ways, and a cell of twenty such lines would hold the page up for ever.
const MAGIC = /^\s*(?:%%\w+\b[^\n]*\n\s*)*?%%minimax(?!\S)[^\n]*/;
const LONGEST_HEAD = 2000; // characters
const MAGIC_LINE = /^\s*%%\w/;
// A command among Python's lines. It is coloured as a magic's line, and the cell stays Python.
const COMMAND = /^[ \t]*%(?:minimax|(?:re|un)?load_ext[ \t]+mm_magic)(?!\S).*$/gm;
// In the magic's line: its name, options, and texts in quotes.
const WORDS = /(?<name>(?<!\S)%%?\w+)|(?<option>(?<!\S)--?[A-Za-z][\w-]*)|(?<text>"[^"]*"|'[^']*')/g;
// What mm_magic/prompt/template.py fills in: its _INSERT, with Python's \w and \d spelt out.
const NAME = String.raw`[\p{L}\p{Nl}\p{No}_][\p{L}\p{N}_]*`;
const STEP = String.raw`\.${NAME}|\[-?[0-9]+\]|\['[^'\n]*'\]|\["[^"\n]*"\]`;
const INSERT = new RegExp(String.raw`\{\{[ \t]*${NAME}(?:${STEP})*[ \t]*\}\}`, "gu");
const LITERAL = /\s--literal(?!\S)/;

const COLOURS = {
  ".mm-magic-name": { color: "var(--jp-mirror-editor-keyword-color)", fontWeight: "bold" },
  // A browser breaks lines behind a hyphen; "--" and "effort" would be two words.
  ".mm-magic-option": { color: "var(--jp-mirror-editor-attribute-color)", whiteSpace: "nowrap" },
  ".mm-magic-text": { color: "var(--jp-mirror-editor-string-color)" },
  // Python's colours inside go.
  ".mm-command *": { color: "inherit !important", fontWeight: "inherit !important" },
  ".mm-insert": { background: "var(--jp-layout-color2)", borderRadius: "2px" },
  ".mm-insert, .mm-insert *": {
    color: "var(--jp-mirror-editor-variable-2-color) !important",
    textDecoration: "none",
  },
};

// JupyterLab breaks what is printed anywhere. These cells print sentences: they are broken at words.
// Code in a sentence goes to the next line as one piece if it fits there, so that no option in it is
// broken behind its hyphens.
const PRINTED = `
.mm-answer :not(pre) > code, .mm-status code, .mm-table code {
  display: inline-block; max-width: 100%;
}
.jp-Cell:has(.mm-command, .mm-magic-name) .jp-OutputArea-output.jp-RenderedText pre {
  word-break: normal; overflow-wrap: anywhere;
}
`;

export async function plugin(load) {
  const names = ["@jupyterlab/codemirror", "@codemirror/state", "@codemirror/view"];
  const [lab, state, view] = await Promise.all(names.map(load));
  const language = await load("@codemirror/language");
  return {
    id: "mm_magic:prose",
    description: "Shows the prompts in %%minimax cells as prose.",
    autoStart: true,
    optional: [lab.IEditorExtensionRegistry, lab.IEditorLanguageRegistry],
    activate: (_app, extensions, languages) => {
      const markdown = () => loadMarkdown(languages, language.Language);
      const make = maker({ ...state, ...view, ...language }, markdown);
      const { createImmutableExtension } = lab.EditorExtensionRegistry;
      const factory = ({ model }) =>
        model.type === "code"
          ? quietly(() => createImmutableExtension(make(model.sharedModel.getSource())))
          : null;
      quietly(() => {
        extensions.addExtension({ name: "mm_magic:prose", factory });
        document.head.append(Object.assign(document.createElement("style"), { textContent: PRINTED }));
      });
    },
  };
}

// What `action` returns, or null: a fault of ours must not cost anybody the editor.
function quietly(action) {
  try {
    return action();
  } catch (error) {
    console.warn("mm_magic: prompts look like Python:", error);
    return null;
  }
}

// The characters of a document that may be the magic's line.
function headOf(doc) {
  return doc.sliceString(0, LONGEST_HEAD, "\n");
}

// Where the magic's line ends; 0 in a cell that is no prompt.
function endOfMagic(text) {
  return MAGIC.exec(text)?.[0].length ?? 0;
}

// Gives the function that makes the extension for a cell with this text. Its compartment is empty
// until the cell is a prompt; Markdown's language is loaded for the first prompt of the page.
function maker(codemirror, markdown) {
  const { Compartment, EditorState, EditorView, Prec, ViewPlugin } = codemirror;
  const place = new Compartment();
  const nothing = [];
  let prose = manners(codemirror);
  let loading;
  const views = new Set();

  async function addColours() {
    prose = [prose, (await markdown()).extension];
    for (const view of views) {
      view.dispatch({ effects: place.reconfigure(due(headOf(view.state.doc))) });
    }
  }

  function due(text) {
    if (!endOfMagic(text)) {
      return nothing;
    }
    loading ??= addColours().catch((error) => console.warn("mm_magic: no Markdown:", error));
    return prose;
  }

  function follow(transaction) {
    const next = due(headOf(transaction.newDoc));
    const isDue = place.get(transaction.startState) === next;
    return isDue ? null : { effects: place.reconfigure(next) };
  }

  class Waiting {
    constructor(view) {
      this.view = view;
      views.add(view);
    }

    destroy() {
      views.delete(this.view);
    }
  }

  const always = [
    EditorState.transactionExtender.of((one) =>
      one.docChanged ? quietly(() => follow(one)) : null,
    ),
    ViewPlugin.fromClass(Waiting),
    marked(codemirror, commands),
    EditorView.baseTheme(COLOURS),
  ];
  return (text) => [Prec.highest(place.of(due(text))), always];
}

// How a prompt is written, whatever its colours.
function manners(codemirror) {
  const { EditorState, EditorView, indentService } = codemirror;
  return [
    EditorView.lineWrapping,
    // No advice on indentation: Enter keeps that of the line above, and no word moves its line.
    indentService.of(() => null),
    EditorState.languageData.of(() => [{ closeBrackets: { brackets: [] } }]),
    marked(codemirror, marks),
  ];
}

// The extension that keeps what `find` marks in the visible text up to date.
function marked(codemirror, find) {
  const { Prec, ViewPlugin } = codemirror;
  class Marks {
    constructor(view) {
      this.decorations = find(view, codemirror);
    }

    update(change) {
      if (change.docChanged || change.viewportChanged) {
        this.decorations = find(change.view, codemirror);
      }
    }
  }
  // The lowest is the outermost: what a language marks inside is no hole in it.
  return Prec.lowest(ViewPlugin.fromClass(Marks, { decorations: (plugin) => plugin.decorations }));
}

// The words of each `%minimax` line of a cell that is no prompt, and what is between them.
function commands(view, { Decoration, RangeSetBuilder }) {
  const found = new RangeSetBuilder();
  const { doc } = view.state;
  if (endOfMagic(headOf(doc))) {
    return found.finish();
  }
  const add = (from, to, kind) => {
    if (from < to) {
      found.add(from, to, Decoration.mark({ class: `mm-command${kind}` }));
    }
  };
  for (const { from, to } of view.visibleRanges) {
    for (const line of doc.sliceString(from, to, "\n").matchAll(COMMAND)) {
      let end = from + line.index;
      for (const word of line[0].matchAll(WORDS)) {
        const start = from + line.index + word.index;
        add(end, start, "");
        end = start + word[0].length;
        add(start, end, ` mm-magic-${kindOf(word)}`);
      }
      add(end, from + line.index + line[0].length, "");
    }
  }
  return found.finish();
}

function kindOf(word) {
  return Object.entries(word.groups).find(([, text]) => text !== undefined)[0];
}

// The words of the magic's line of a prompt, and the names that are filled in.
function marks(view, { Decoration, RangeSetBuilder }) {
  const found = new RangeSetBuilder();
  const add = (from, match, name) => {
    const at = from + match.index;
    found.add(at, at + match[0].length, Decoration.mark({ class: name }));
  };
  const { doc } = view.state;
  const text = headOf(doc);
  const end = endOfMagic(text);
  const head = text.slice(0, end);
  for (const match of head.matchAll(WORDS)) {
    add(0, match, `mm-magic-${kindOf(match)}`);
  }
  for (const range of LITERAL.test(head) ? [] : view.visibleRanges) {
    const from = Math.max(range.from, end);
    for (const match of doc.sliceString(from, Math.max(range.to, end), "\n").matchAll(INSERT)) {
      add(from, match, "mm-insert");
    }
  }
  return found.finish();
}

// Markdown as in a Markdown cell, but for two things: the magic's line is no Markdown, and "$5 or
// $6" is no formula. Of its support only the language is taken: the rest would type list marks.
async function loadMarkdown(languages, Language) {
  const { support } = await languages.getLanguage("text/x-ipythongfm");
  const { data, parser } = support.language;
  const magicLine = {
    name: "MagicLine",
    before: "IndentedCode",
    parse(context, line) {
      if (!MAGIC_LINE.test(line.text)) {
        return false;
      }
      const start = context.lineStart;
      context.addElement(context.elt("MagicLine", start, start + line.text.length));
      context.nextLine();
      return true;
    },
  };
  const prompt = parser.configure({
    defineNodes: [{ name: "MagicLine", block: true }],
    parseBlock: [magicLine],
    remove: ["InlineMathDollar"],
  });
  return new Language(data, prompt, [], "markdown");
}
