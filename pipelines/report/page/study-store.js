// Who answers, and what was answered so far. It is kept in the browser; if that keeps nothing, in the tab.

/** @typedef {{answer: string, seconds: number}} Answer */
/** @typedef {{study: string, rater: string, form: number, answers: (Answer | null)[]}} Progress */

const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";

/** A name that says nothing about the person. */
export function newRater() {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => LETTERS[byte % LETTERS.length]).join("");
}

/**
 * Check what was stored or read from a file.
 * @param {any} value
 * @param {string} study
 * @param {number[][]} forms
 * @returns {Progress | null}
 */
export function checked(value, study, forms) {
  const form = Number.isInteger(value?.form) ? forms[value.form] : undefined;
  if (!form || value.study !== study || !/^[a-z0-9]{4,32}$/.test(value.rater) || !Array.isArray(value.answers)) return null;
  /** @type {(Answer | null)[]} */
  const answers = Array(form.length).fill(null);
  value.answers.forEach((/** @type {any} */ each, /** @type {number} */ place) => {
    const screen = each?.screen ?? place;
    if (screen in answers && typeof each?.answer === "string") answers[screen] = { answer: each.answer, seconds: Number(each.seconds) || 0 };
  });
  return { study, rater: value.rater, form: value.form, answers };
}

/** Keeps the progress of a study. */
export class Store {
  /** @param {string} study */
  constructor(study) {
    this.name = `vidcam-study-${study}`;
    /** `browser`: until somebody clears it; `tab`: until the tab is closed. */
    this.kind = this.keeps() ? "browser" : "tab";
  }

  keeps() {
    try {
      localStorage.setItem(`${this.name}-test`, "1");
      localStorage.removeItem(`${this.name}-test`);
      return true;
    } catch {
      return false; // a private window, blocked storage, or a frame without an origin
    }
  }

  /** @returns {unknown} what was stored; null without it */
  read() {
    try {
      if (this.kind === "browser") return JSON.parse(localStorage.getItem(this.name) ?? "null");
      return JSON.parse(window.name)[this.name] ?? null;
    } catch {
      return null;
    }
  }

  /** @param {Progress} progress */
  write(progress) {
    try {
      if (this.kind === "browser") {
        localStorage.setItem(this.name, JSON.stringify(progress));
        return;
      }
    } catch {
      this.kind = "tab"; // the browser's store is full
    }
    window.name = JSON.stringify({ [this.name]: progress });
  }
}

/** Sends answers to the server that gave the page; a page from the disk has none. */
export class Sender {
  /** @param {(state: string) => void} tell */
  constructor(tell) {
    this.isServed = document.documentElement.dataset.served === "true";
    this.tell = tell;
    /** @type {Map<number, object>} */
    this.waiting = new Map();
    this.isBusy = false;
  }

  /**
   * @param {string} path
   * @param {object} body
   */
  async post(path, body) {
    const reply = await fetch(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    if (!reply.ok) throw new Error(`the server says ${reply.status}`);
    return reply.json();
  }

  /**
   * Send answers; those that do not arrive are sent again.
   * @param {Progress} progress
   * @param {{screen: number}[]} answers
   */
  async send(progress, answers) {
    if (!this.isServed) return;
    for (const each of answers) this.waiting.set(each.screen, each);
    if (this.isBusy) return;
    this.isBusy = true;
    for (let wait = 500; this.waiting.size; wait = Math.min(wait * 2, 15000)) {
      const batch = [...this.waiting.values()].slice(0, 100);
      try {
        await this.post("answers", { study: progress.study, rater: progress.rater, form: progress.form, answers: batch });
        for (const each of batch) {
          const { screen } = /** @type {{screen: number}} */ (each);
          if (this.waiting.get(screen) === each) this.waiting.delete(screen);
        }
        wait = 250;
      } catch (error) {
        this.tell(`Not sent yet: ${this.waiting.size} (${error instanceof Error ? error.message : error})`);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    this.isBusy = false;
    this.tell("Sent");
  }
}

