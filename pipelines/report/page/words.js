// The words of captions: the map of a word is shown while it is pointed at or has the focus; a click keeps it.

import { make, percent } from "./dom.js";

const MOVES = /** @type {Record<string, (place: number, last: number) => number>} */ ({
  ArrowLeft: (place) => Math.max(place - 1, 0), ArrowRight: (place, last) => Math.min(place + 1, last),
  Home: () => 0, End: (_, last) => last,
});

/** A line of words for each caption. The first button of a line is the whole caption. */
export class Words {
  /**
   * @param {HTMLElement} root
   * @param {import("./maps.js").Clip} clip
   * @param {import("./state.js").State} state
   */
  constructor(root, clip, state) {
    this.root = root;
    this.state = state;
    this.kept = state.choice.target;
    /** @type {Map<HTMLElement, string>} */
    this.targets = new Map();
    /** @type {HTMLElement[][]} */
    this.lines = clip.data.captions.map((/** @type {any} */ caption) => this.line(caption, clip));
    root.replaceChildren(...this.lines.map((line, number) => make("p", { role: "toolbar", "aria-label": `Words of caption ${number + 1}` }, ...line)));
    root.hidden = !this.lines.length;
    root.addEventListener("pointerleave", () => this.show(this.kept));
    root.addEventListener("focusout", (leave) => {
      if (!root.contains(/** @type {Node | null} */ (leave.relatedTarget))) this.show(this.kept);
    });
    root.addEventListener("keydown", (key) => this.press(key));
  }

  /**
   * @param {any} caption `CaptionTarget`
   * @param {import("./maps.js").Clip} clip
   */
  line(caption, clip) {
    const names = clip.targets.slice(caption.target, caption.target + caption.words.length + 1).map((target) => target.name);
    return names.map((name, place) => {
      const share = place ? percent(caption.probabilities[place - 1]) : "";
      const button = make("button", {
        type: "button", class: place ? "word" : "whole", tabindex: place ? -1 : 0, text: place ? caption.words[place - 1] : "Caption",
        title: share ? `${share}, given the words before` : "The whole caption",
      });
      if (place && caption.probabilities[place - 1] < 0.5) button.classList.add("unlikely");
      this.targets.set(button, name);
      button.addEventListener("pointerenter", () => this.show(name));
      button.addEventListener("focus", () => this.show(name));
      button.addEventListener("click", () => {
        this.kept = name;
        this.show(name);
      });
      return button;
    });
  }

  /** @param {string} target */
  show(target) {
    if (this.lines.length && this.state.choice.target !== target) this.state.set({ target });
  }

  /** @param {KeyboardEvent} key */
  press(key) {
    const from = /** @type {HTMLElement} */ (key.target), line = this.lines.find((each) => each.includes(from)), move = MOVES[key.key];
    if (!line || !move || key.ctrlKey || key.metaKey || key.altKey || key.shiftKey) return;
    key.preventDefault();
    key.stopPropagation();
    line[move(line.indexOf(from), line.length - 1)].focus();
  }

  /** Mark what is shown; the tab key reaches one word of a line. */
  update() {
    const { target } = this.state.choice, isOwn = this.root.matches(":hover, :focus-within");
    if (!isOwn) this.kept = target; // chosen elsewhere
    for (const line of this.lines) {
      const shown = line.find((button) => this.targets.get(button) === target);
      for (const button of line) {
        button.setAttribute("aria-pressed", String(button === shown));
        button.classList.toggle("kept", this.targets.get(button) === this.kept);
        button.tabIndex = button === (shown ?? line[0]) ? 0 : -1;
      }
    }
  }
}
