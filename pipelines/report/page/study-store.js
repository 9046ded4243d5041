// Who answers, and what was answered so far. It is kept in the browser; if that keeps nothing, in the tab.
// A browser writes `localStorage` to the disk seconds later, and its database at once: both are used, and the newer one is read.

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
    /** @type {IDBDatabase | null} */
    this.database = null;
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

  /** @returns {Promise<unknown>} what was stored last; null without it */
  async read() {
    const [first, second] = [this.readText(), this.kind === "browser" ? await this.readDatabase() : null];
    return (second?.written ?? 0) > (first?.written ?? 0) ? second : first;
  }

  /** @returns {any} */
  readText() {
    try {
      if (this.kind === "browser") return JSON.parse(localStorage.getItem(this.name) ?? "null");
      return JSON.parse(window.name)[this.name] ?? null;
    } catch {
      return null;
    }
  }

  /** @returns {Promise<any>} null too if the database cannot be opened within a second */
  async readDatabase() {
    try {
      const opening = indexedDB.open(this.name);
      opening.onupgradeneeded = () => opening.result.createObjectStore("progress");
      /** @type {Promise<never>} */
      const late = new Promise((_, reject) => setTimeout(reject, 1000));
      const database = await Promise.race([settled(opening), late]);
      this.database = database;
      return await settled(database.transaction("progress").objectStore("progress").get(0));
    } catch {
      return null;
    }
  }

  /** @param {Progress} progress */
  write(progress) {
    const stored = { ...progress, written: Date.now() };
    try {
      if (this.kind === "browser") {
        localStorage.setItem(this.name, JSON.stringify(stored));
        this.database?.transaction("progress", "readwrite", { durability: "strict" }).objectStore("progress").put(stored, 0);
        return;
      }
    } catch {
      this.kind = "tab"; // the browser's store is full
    }
    window.name = JSON.stringify({ [this.name]: stored });
  }
}

/**
 * The result of a request to a database.
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Sends answers to the server that gave the page; a page from the disk has none. */
export class Sender {
  /** @param {(state: string) => void} tell */
  constructor(tell) {
    this.isServed = document.documentElement.dataset.served === "true";
    this.tell = tell;
    /** @type {Map<string, {progress: Progress, row: object}>} */
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
    for (const row of answers) this.waiting.set(`${progress.rater} ${row.screen}`, { progress, row });
    if (this.isBusy) return;
    this.isBusy = true;
    for (let wait = 500; this.waiting.size; wait = Math.min(wait * 2, 15000)) {
      const [first] = this.waiting.values(), { study, rater, form } = first.progress;
      const batch = [...this.waiting].filter(([, each]) => each.progress.rater === rater).slice(0, 100);
      try {
        await this.post("answers", { study, rater, form, answers: batch.map(([, each]) => each.row) });
        for (const [name, each] of batch) if (this.waiting.get(name) === each) this.waiting.delete(name);
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

