// The page of a study: one question after the other.

import { fromBase64, openPage } from "./unpack.js";
import { Clip } from "./maps.js";
import { OPACITY } from "./arithmetic.js";
import { PAIR, SINGLE, Screen } from "./study-screen.js";
import { Sender, Store, checked, newRater } from "./study-store.js";
import { byId, make, saveFile } from "./dom.js";
import { csvOf, jsonOf, rowsOf } from "./study-files.js";
import { drawLegend } from "./draw.js";

/** @typedef {import("./study-store.js").Progress} Progress */

const BETTER = "Which picture shows better why the model says this?", RIGHT = "Is the model right?";

/** The page. */
class Study {
  /**
   * @param {any} data `StudyData`
   * @param {import("./unpack.js").Block} block
   */
  constructor(data, block) {
    this.data = data;
    /** @type {Clip[]} */
    this.clips = data.clips.map((/** @type {any} */ clip) => new Clip(clip, block));
    this.store = new Store(data.study);
    this.sender = new Sender((state) => (byId("saved").textContent = state));
    /** @type {Progress | null} */
    this.progress = null;
    /** Whether a file has all answers. */
    this.isSaved = false;
    /** @type {Screen | null} */
    this.screen = null;
    this.place = 0;
    const palette = fromBase64(data.palettes.vidcam);
    /** @type {import("./draw.js").Look} */
    this.look = { style: "overlay", palette, opacity: OPACITY, threshold: 0 };
  }

  async start() {
    this.progress = checked(await this.store.read(), this.data.study, this.data.forms);
    byId("headline").textContent = this.data.title;
    byId("version").textContent = `vidcam ${this.data.version}`;
    drawLegend(/** @type {HTMLCanvasElement} */ (byId("legend")), this.look);
    byId("play").addEventListener("click", () => this.screen?.toggle());
    byId("back").addEventListener("click", () => this.back());
    byId("export").addEventListener("click", () => this.save());
    addEventListener("keydown", (key) => this.press(key));
    addEventListener("beforeunload", (leave) => {
      if (this.progress && this.store.kind === "tab" && !this.isSaved) leave.preventDefault();
    });
    new ResizeObserver(() => this.screen?.draw()).observe(byId("tiles"));
    const file = /** @type {HTMLInputElement} */ (byId("file"));
    file.addEventListener("change", () => this.open(file));
    if (this.progress) this.sender.send(this.progress, rowsOf(this.progress, this.form));
    this.welcome();
    document.documentElement.dataset.ready = "true";
  }

  /** @returns {number[]} the questions of this rater */
  get form() {
    return this.data.forms[this.progress?.form ?? 0];
  }

  /** @param {number} place */
  item(place) {
    const code = this.form[place], item = this.data.items[code >> 1], isSwapped = Boolean(code & 1);
    return { ...item, isSwapped, maps: item.kind === "single" ? [item.left] : isSwapped ? [item.right, item.left] : [item.left, item.right] };
  }

  /** The first page: what this is, and how to go on. */
  welcome() {
    const { length } = this.form, given = this.progress?.answers.filter(Boolean).length ?? 0;
    const kept = this.sender.isServed ? "Your answers are sent to the computer that gave you this page."
      : this.store.kind === "browser" ? "Your answers stay in this browser until you save them as a file."
        : "This browser keeps your answers only while this tab is open. Save them before you close it.";
    this.words([
      make("p", { text: "A computer model watched short clips and named what it saw. Colours show where and when it looked. We ask how helpful these colours are." }),
      make("p", { text: `There are ${length} questions. You can stop at any time and go on later.` }),
      make("p", { text: `Nobody asks for your name. You get a random code. ${kept}` }),
    ], this.progress ? [
      [given < length ? `Go on (${given} of ${length} done)` : "All done: to the end", () => this.next()],
      ["Start as another person", () => this.begin()],
    ] : [["Start", () => this.begin()], ["Go on from a file…", () => byId("file").click()]]);
  }

  /** Start as a new rater; the answers of the former one are saved as a file. */
  async begin() {
    if (this.progress?.answers.some(Boolean) && !this.isSaved && !this.sender.isServed) this.save();
    const rater = newRater(), { forms, study } = this.data, asked = Number(new URLSearchParams(location.hash.slice(1)).get("form") ?? NaN);
    let form = Number.isInteger(asked) && asked >= 0 ? asked % forms.length : crypto.getRandomValues(new Uint32Array(1))[0] % forms.length;
    if (this.sender.isServed) {
      try {
        ({ form } = await this.sender.post("form", { study, rater }));
      } catch (error) {
        this.notice(`The server does not answer (${error}). Try again in a moment.`);
        return;
      }
    }
    this.notice("");
    this.isSaved = false;
    this.progress = { study, rater, form, answers: Array(forms[form].length).fill(null) };
    this.keep();
    this.next();
  }

  /** @param {HTMLInputElement} file */
  async open(file) {
    const text = await file.files?.[0]?.text() ?? "";
    file.value = "";
    let value = null;
    try {
      value = checked(JSON.parse(text), this.data.study, this.data.forms);
    } catch {
      // no JSON: the same sentence
    }
    this.notice(value ? "" : "This file has no answers of this study.");
    if (!value) return;
    this.progress = value;
    this.keep();
    this.sender.send(value, rowsOf(value, this.form));
    this.next();
  }

  /** Show the first question without an answer. */
  next() {
    const place = this.progress?.answers.findIndex((answer) => !answer) ?? 0;
    if (place < 0) this.end();
    else if (this.isFirstOfPart(place)) this.explain(place);
    else this.ask(place);
  }

  /** @param {number} place */
  isFirstOfPart(place) {
    return place === 0 || (this.item(place).kind === "single") !== (this.item(place - 1).kind === "single");
  }

  /**
   * Say what a part asks.
   * @param {number} place
   */
  explain(place) {
    const isSingle = this.item(place).kind === "single";
    const texts = isSingle ? [
      "You see a clip and what the model says about it. Bright colours show what it relied on. Some clips have no colours.",
      `The question: ${RIGHT} Sometimes it is wrong. Answer what you think yourself.`,
      "Keys: Y for yes, N for no, C for cannot tell.",
    ] : [
      "You see one clip twice. Both pictures show what the model relied on for what it says, found in two ways.",
      `The question: ${BETTER} It does not matter whether the model is right.`,
      "If you see no difference that matters, answer “Same”. Keys: ← for left, → for right, ↓ for same.",
    ];
    this.words([...texts, "Space stops the clip. Backspace goes one question back."].map((text) => make("p", { text })), [["Start this part", () => this.ask(place)]]);
    this.showProgress(place);
  }

  /** @param {number} place */
  async ask(place) {
    const item = this.item(place), isSingle = item.kind === "single", isCheck = item.kind === "instruction";
    this.place = place;
    this.screen?.end();
    byId("words").hidden = true;
    byId("screen").hidden = false;
    byId("back").hidden = place === 0;
    this.showProgress(place);
    const question = isCheck ? `This question checks your attention. Please answer “${item.isSwapped ? "Right" : "Left"}”.` : isSingle ? RIGHT : BETTER;
    const chosen = this.progress?.answers[place]?.answer ?? null;
    const what = { question, isCheck, choices: isSingle ? SINGLE : PAIR, chosen };
    const screen = new Screen(this.clips[item.clip], item.maps, what, this.look, (answer, seconds) => this.answered(place, answer, seconds));
    this.screen = screen;
    const plays = await screen.start();
    if (!plays && this.screen === screen) {
      this.notice("This browser cannot play the clip. Open the page in another browser, or skip the question.");
      byId("answers").replaceChildren(make("button", { type: "button", text: "Skip" }));
      byId("answers").firstElementChild?.addEventListener("click", () => {
        this.notice("");
        screen.answer("not shown");
      });
    }
  }

  /**
   * @param {number} place
   * @param {string} answer
   * @param {number} seconds
   */
  answered(place, answer, seconds) {
    if (!this.progress) return;
    this.progress.answers[place] = { answer, seconds };
    this.isSaved = false;
    this.keep();
    this.sender.send(this.progress, rowsOf(this.progress, this.form).filter((row) => row.screen === place));
    this.next();
  }

  back() {
    if (this.place > 0 && this.progress) this.ask(this.place - 1);
  }

  keep() {
    if (this.progress) this.store.write(this.progress);
    if (!this.sender.isServed) byId("saved").textContent = this.store.kind === "browser" ? "Kept in this browser" : "Kept in this tab only";
  }

  /** The last page. */
  end() {
    this.showProgress(this.form.length);
    const text = this.sender.isServed ? "Your answers were sent." : "Save your answers now, and give the file to the person who gave you this page.";
    this.words([make("p", { text: "Thank you. That was the last question." }), make("p", { text })], [
      ["Save answers", () => this.save()], ["Save as CSV", () => this.save(true)],
      ["Back to the last question", () => this.ask(this.form.length - 1)], ["Start as another person", () => this.begin()],
    ]);
  }

  /**
   * Save the answers as a file; either kind has all of them.
   * @param {boolean} asTable as CSV, for a spreadsheet; else as JSON, with which the page can go on
   */
  save(asTable = false) {
    if (!this.progress) return;
    const name = `answers-${this.data.study}-${this.progress.rater}`;
    if (asTable) saveFile(new Blob([csvOf(this.progress, this.form)], { type: "text/csv" }), `${name}.csv`);
    else saveFile(new Blob([jsonOf(this.progress, this.form)], { type: "application/json" }), `${name}.json`);
    this.isSaved = true;
  }

  /**
   * Show words instead of a question.
   * @param {HTMLElement[]} texts
   * @param {[string, () => void][]} choices the first is the usual one
   */
  words(texts, choices) {
    this.screen?.end();
    this.screen = null;
    byId("screen").hidden = byId("back").hidden = true;
    const buttons = choices.map(([text, act], place) => {
      const button = make("button", { type: "button", class: place ? null : "strong", text });
      button.addEventListener("click", act);
      return button;
    });
    const words = byId("words");
    words.hidden = false;
    words.replaceChildren(...texts, make("div", { class: "row" }, ...buttons));
    buttons[0].focus();
    byId("whose").textContent = this.progress ? `· ${this.progress.rater}` : "";
    byId("export").hidden = !this.progress;
  }

  /** @param {number} place */
  showProgress(place) {
    const bar = byId("progress");
    bar.hidden = false;
    bar.setAttribute("aria-valuenow", String(place));
    bar.setAttribute("aria-valuemax", String(this.form.length));
    /** @type {HTMLElement} */ (bar.firstElementChild).style.width = `${(100 * place) / this.form.length}%`;
    byId("whose").textContent = `· ${this.progress?.rater ?? ""} · question ${Math.min(place + 1, this.form.length)} of ${this.form.length}`;
    byId("export").hidden = !this.progress;
  }

  /** @param {string} text '' for none */
  notice(text) {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  }

  /** @param {KeyboardEvent} key */
  press(key) {
    if (!this.screen || key.repeat || key.ctrlKey || key.metaKey || key.altKey) return;
    const isButton = /** @type {HTMLElement} */ (key.target).matches("button");
    if (isButton && (key.key === " " || key.key === "Enter")) return;
    const isBack = key.key === "Backspace";
    if (isBack) this.back();
    if (isBack || this.screen.press(key.key)) key.preventDefault();
  }
}

openPage((data, block) => {
  const page = new Study(data, block);
  Object.assign(globalThis, { vidcam: page });
  page.start();
});
