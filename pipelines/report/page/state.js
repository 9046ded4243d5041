// What is chosen, kept in the address: a link shows the same.

/** @typedef {import("./maps.js").Style} Style */
/** @typedef {import("./maps.js").Scale} Scale */
/** @typedef {"one" | "source" | "methods" | "targets"} Layout */

/**
 * @typedef {object} Choice
 * @property {string} target name of the target
 * @property {string} method
 * @property {Style} style
 * @property {string} palette
 * @property {number} opacity
 * @property {number} threshold
 * @property {Scale} scale
 * @property {Layout} layout
 */

export const STYLES = /** @type {[Style, string][]} */ ([
  ["overlay", "Overlay"],
  ["contour", "Contour"],
  ["cells", "Cells"],
  ["map", "Spotlight"],
  ["signed", "For and against"],
  ["heat", "Heat alone"],
  ["none", "Video alone"],
]);

export const LAYOUTS = /** @type {[Layout, string][]} */ ([
  ["one", "One"],
  ["source", "Beside the video"],
  ["methods", "All methods"],
  ["targets", "All classes"],
]);

/** Holds the choice, and tells who listens when it changes. */
export class State {
  /** @param {Choice} first */
  constructor(first) {
    this.first = first;
    this.choice = { ...first };
    /** @type {(() => void)[]} */
    this.listeners = [];
    /** Second of the frame that is shown. */
    this.second = NaN;
  }

  /** @param {Partial<Choice>} part */
  set(part) {
    Object.assign(this.choice, part);
    for (const listener of this.listeners) listener();
    this.remember();
  }

  /** Read the address; what it does not name, or names wrongly, stays. */
  recall() {
    const asked = new URLSearchParams(location.hash.slice(1)), choice = /** @type {any} */ (this.choice);
    for (const [name, value] of Object.entries(this.first)) {
      const given = asked.get(name);
      if (given === null) choice[name] = value;
      else if (typeof value === "string") choice[name] = given;
      else if (Number.isFinite(Number(given))) choice[name] = Math.min(Math.max(Number(given), 0), 1);
    }
    if (!STYLES.some(([style]) => style === choice.style)) choice.style = this.first.style;
    if (!LAYOUTS.some(([layout]) => layout === choice.layout)) choice.layout = this.first.layout;
    if (choice.scale !== "video" && choice.scale !== "window") choice.scale = this.first.scale;
    const second = parseFloat(asked.get("t") ?? "");
    return Number.isFinite(second) ? second : null;
  }

  /** Write the address, a little later. */
  remember() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const asked = new URLSearchParams();
      for (const [name, value] of Object.entries(this.choice)) {
        if (value !== /** @type {any} */ (this.first)[name]) asked.set(name, String(value));
      }
      if (Number.isFinite(this.second)) asked.set("t", this.second.toFixed(3));
      this.written = `#${asked}`;
      try {
        history.replaceState(null, "", this.written);
      } catch {
        this.written = ""; // a frame in a notebook has no address
      }
    }, 250);
  }
}
