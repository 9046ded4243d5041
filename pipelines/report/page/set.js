// The page of a scored set.

import { openPage } from "./unpack.js";
import { byId, make, number } from "./dom.js";
import { playClip } from "./clipdialog.js";
import { drawConfusions } from "./confusions.js";
import { drawCurves } from "./curves.js";

const ROW = 35, EXTRA = 20;

/** @typedef {{key: string, title: string, sort: (clip: number) => number | string, text: (clip: number) => string, isNumber: boolean}} Column */

/** The clips as columns, the filters, and the rows that can be seen. */
export class SetPage {
  /**
   * @param {any} data `SetData`
   * @param {import("./unpack.js").Block} block
   */
  constructor(data, block) {
    this.data = data;
    const { clips } = data;
    /** @param {any} section */
    const texts = (section) => Array.from(block.counts(section), (index) => /** @type {string} */ (clips.texts[index]));
    this.path = texts(clips.path);
    this.label = texts(clips.label);
    this.top = texts(clips.top);
    this.folder = texts(clips.folder);
    this.startSecond = block.floats(clips.start);
    this.status = texts(clips.status);
    this.reason = texts(clips.reason);
    this.probability = block.floats(clips.probability);
    this.correct = block.floats(clips.correct);
    /** @type {Record<string, Record<string, Float32Array>>} */
    this.scores = {};
    for (const [method, columns] of Object.entries(clips.scores)) {
      this.scores[method] = Object.fromEntries(Object.entries(/** @type {any} */ (columns)).map(([name, section]) => [name, block.floats(/** @type {any} */ (section))]));
    }
    this.count = this.path.length;
    const methods = data.names.filter((/** @type {string} */ name) => !data.controls.includes(name));
    this.meanDrop = Float32Array.from({ length: this.count }, (_, clip) => {
      const drops = methods.map((/** @type {string} */ name) => this.scores[name].drop[clip]);
      return drops.reduce((/** @type {number} */ sum, /** @type {number} */ drop) => sum + drop, 0) / drops.length;
    });
    this.choice = { text: "", label: "", top: "", state: "", method: methods[0] ?? data.names[0], sort: "mean", down: true };
    /** @type {number[]} */
    this.shown = [];
    /** First and last of the rows that are made. */
    this.made = [0, 0];
  }

  /** @returns {Column[]} */
  columns() {
    const scores = this.scores[this.choice.method], share = (/** @type {number} */ value) => (Number.isFinite(value) ? `${(100 * value).toFixed(1)} %` : "");
    return [
      { key: "path", title: "Clip", sort: (i) => this.path[i], text: (i) => this.path[i], isNumber: false },
      { key: "label", title: "Label", sort: (i) => this.label[i], text: (i) => this.label[i], isNumber: false },
      { key: "top", title: "Model says", sort: (i) => this.top[i], text: (i) => this.top[i] || (this.status[i] === "scored" ? "" : `${this.status[i]}: ${this.reason[i]}`), isNumber: false },
      { key: "probability", title: "Probability", sort: (i) => this.probability[i], text: (i) => number(this.probability[i]), isNumber: true },
      { key: "mean", title: "Mean drop", sort: (i) => this.meanDrop[i], text: (i) => share(this.meanDrop[i]), isNumber: true },
      { key: "drop", title: "Drop", sort: (i) => scores.drop[i], text: (i) => share(scores.drop[i]), isNumber: true },
      { key: "kept", title: "Kept at half", sort: (i) => scores["retention_0.5"][i], text: (i) => share(scores["retention_0.5"][i]), isNumber: true },
      { key: "area", title: "Area", sort: (i) => scores.area[i], text: (i) => number(scores.area[i]), isNumber: true },
    ];
  }

  start() {
    const { data } = this;
    byId("headline").textContent = data.title;
    byId("lead").textContent = data.lead;
    byId("version").textContent = `vidcam ${data.version}`;
    const known = data.known.length ? data.known : ["Nothing yet: no pair of methods differs clearly."];
    byId("known").append(...known.map((/** @type {string} */ text) => make("li", { text })));
    byId("unknown").append(...data.unknown.map((/** @type {string} */ text) => make("li", { text })));
    this.makeFilters();
    drawConfusions(this);
    this.writeTables();
    this.filter();
    drawCurves(data.curves);
    byId("rows").addEventListener("scroll", () => this.draw(false), { passive: true });
    new ResizeObserver(() => {
      this.draw();
      drawCurves(data.curves);
    }).observe(byId("rows"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCurves(data.curves));
    const player = /** @type {HTMLDialogElement} */ (byId("player"));
    player.addEventListener("close", () => player.replaceChildren());
    document.documentElement.dataset.ready = "true";
  }

  makeFilters() {
    const form = byId("filters"), unique = (/** @type {string[]} */ values) => [...new Set(values)].filter(Boolean).sort();
    form.addEventListener("submit", (submit) => submit.preventDefault());
    const search = make("input", { id: "set-text", type: "search", placeholder: "part of a path" });
    search.addEventListener("input", () => this.choose({ text: search.value.toLowerCase() }));
    form.append(make("div", { class: "field" }, make("label", { for: "set-text", text: "Find" }), search));
    /** @type {Record<string, HTMLSelectElement>} */
    this.selects = {};
    /** @type {[string, string, [string, string][]][]} */
    const selects = [
      ["state", "Which", [["", "all"], ["right", "right"], ["wrong", "wrong"], ["failed", "failed"], ["left out", "left out"]]],
      ["label", "Label", [["", "all"], ...unique(this.label).map((name) => /** @type {[string, string]} */ ([name, name]))]],
      ["top", "Model says", [["", "all"], ...unique(this.top).map((name) => /** @type {[string, string]} */ ([name, name]))]],
      ["method", "Scores of", this.data.names.map((/** @type {string} */ name) => [name, name])],
    ];
    for (const [name, title, options] of selects) {
      const select = make("select", { id: `set-${name}` }, ...options.map(([value, text]) => make("option", { value, text })));
      select.addEventListener("change", () => this.choose({ [name]: select.value }));
      this.selects[name] = select;
      form.append(make("div", { class: "field" }, make("label", { for: `set-${name}`, text: title }), select));
    }
    const all = make("button", { type: "button", class: "quiet", text: "Show all" });
    all.addEventListener("click", () => {
      search.value = "";
      this.choose({ text: "", label: "", top: "", state: "" });
    });
    form.append(all);
  }

  /** @param {Record<string, unknown>} part */
  choose(part) {
    Object.assign(this.choice, part);
    for (const [name, select] of Object.entries(this.selects ?? {})) select.value = String(/** @type {any} */ (this.choice)[name]);
    this.filter();
  }

  /** Select and sort the clips. */
  filter() {
    const { text, label, top, state, sort, down } = this.choice;
    /** @type {number[]} */
    const shown = [];
    for (let i = 0; i < this.count; i++) {
      if (text && !this.path[i].toLowerCase().includes(text)) continue;
      if ((label && this.label[i] !== label) || (top && this.top[i] !== top)) continue;
      if (state === "right" && this.correct[i] !== 1) continue;
      if (state === "wrong" && this.correct[i] !== 0) continue;
      if ((state === "failed" || state === "left out") && this.status[i] !== state) continue;
      shown.push(i);
    }
    const column = this.columns().find(({ key }) => key === sort) ?? this.columns()[0], values = shown.map(column.sort), sign = down ? -1 : 1;
    const order = shown.map((_, place) => place).sort((a, b) => {
      const [one, other] = [values[a], values[b]];
      if (one === other) return a - b;
      if (typeof one === "number" && Number.isNaN(one)) return Number.isNaN(other) ? a - b : 1; // unknown ones last
      if (typeof other === "number" && Number.isNaN(other)) return -1;
      return (one < other ? -1 : 1) * sign;
    });
    this.shown = order.map((place) => shown[place]);
    byId("count").textContent = `${this.shown.length} of ${this.count} clips`;
    this.drawHead();
    byId("rows").scrollTop = 0;
    this.draw();
  }

  drawHead() {
    const { sort, down } = this.choice;
    byId("head").replaceChildren(make("tr", {}, ...this.columns().map(({ key, title, isNumber }) => {
      const isChosen = key === sort, button = make("button", { type: "button", "aria-pressed": String(isChosen), text: `${title}${isChosen ? (down ? " ↓" : " ↑") : ""}` });
      button.addEventListener("click", () => this.choose({ sort: key, down: isChosen ? !down : isNumber }));
      return make("th", { scope: "col", class: isNumber ? "number" : null, "aria-sort": isChosen ? (down ? "descending" : "ascending") : null }, button);
    })));
  }

  /**
   * Make the rows that can be seen; the others are empty space.
   * @param {boolean} isNew whether other rows are shown; else those that are there may do
   */
  draw(isNew = true) {
    const view = byId("rows"), top = Math.floor(view.scrollTop / ROW), bottom = Math.min(this.shown.length, Math.ceil((view.scrollTop + view.clientHeight) / ROW));
    if (!isNew && top >= this.made[0] && bottom <= this.made[1]) return;
    const first = Math.max(0, top - EXTRA);
    const last = Math.min(this.shown.length, bottom + EXTRA), columns = this.columns();
    this.made = [first, last];
    const space = (/** @type {number} */ rows) => {
      const cell = make("td", { colspan: columns.length });
      cell.style.height = `${rows * ROW}px`;
      return make("tr", { class: "space", "aria-hidden": "true" }, cell);
    };
    byId("body").replaceChildren(space(first), ...this.shown.slice(first, last).map((clip) => this.row(clip, columns)), space(this.shown.length - last));
  }

  /**
   * @param {number} clip
   * @param {Column[]} columns
   */
  row(clip, columns) {
    const state = this.correct[clip] === 1 ? "right" : this.correct[clip] === 0 ? "wrong" : "";
    return make("tr", {}, ...columns.map(({ key, text, isNumber }) => {
      const cell = make(key === "path" ? "th" : "td", { class: isNumber ? "number" : key === "top" ? state : null, title: isNumber ? null : text(clip), scope: key === "path" ? "row" : null });
      if (key !== "path") cell.textContent = key === "top" && state ? `${state === "right" ? "✓" : "✗"} ${text(clip)}` : text(clip);
      else cell.append(this.opener(clip, text(clip)));
      return cell;
    }));
  }

  /**
   * What opens a clip: a link to its page, or a button.
   * @param {number} clip
   * @param {string} text
   */
  opener(clip, text) {
    const page = this.data.pages[clip], opener = page ? make("a", { href: page, text }) : make("button", { type: "button", class: "clip", text });
    opener.addEventListener("click", (/** @type {Event} */ event) => {
      const click = /** @type {MouseEvent} */ (event);
      if (page && (click.ctrlKey || click.metaKey || click.shiftKey)) return;
      click.preventDefault();
      playClip(this, clip);
    });
    return opener;
  }

  writeTables() {
    const { ranking, methods, pairs, facts } = this.data, root = byId("tables");
    const folded = (/** @type {string} */ title, /** @type {boolean} */ open, /** @type {HTMLElement} */ content) => {
      root.append(make("details", { open }, make("summary", {}, make("h2", { text: title })), content));
    };
    if (ranking.length) folded("Ranking", true, table(ranking, "Ranking"));
    folded("Methods and controls", true, table(methods, "Methods"));
    if (pairs.length) folded("Pairs at equal area", pairs.length <= 6, table(pairs, "Pairs"));
    folded("Where this comes from", false, make("dl", {}, ...facts.flatMap((/** @type {[string, string]} */ [name, text]) => [make("dt", { text: name }), make("dd", { text })])));
  }
}

/**
 * @param {Record<string, string>[]} rows
 * @param {string} title
 */
function table(rows, title) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const body = rows.map((row) => make("tr", {}, ...names.map((name, place) => make(place ? "td" : "th", { text: row[name] ?? "", scope: place ? null : "row" }))));
  return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": title }, make("table", {},
    make("thead", {}, make("tr", {}, ...names.map((text) => make("th", { scope: "col", text })))), make("tbody", {}, ...body)));
}

openPage((data, block) => {
  const page = new SetPage(data, block);
  Object.assign(globalThis, { vidcam: page });
  page.start();
});
