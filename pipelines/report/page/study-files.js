// Answers as files: a JSON that can be read in again, and a CSV.

/** @typedef {import("./study-store.js").Progress} Progress */

const COLUMNS = ["study", "rater", "form", "screen", "item", "swapped", "answer", "seconds"];

/**
 * The answers that were given, one row each.
 * @param {Progress} progress
 * @param {number[]} form
 */
export function rowsOf(progress, form) {
  return form.flatMap((code, screen) => {
    const given = progress.answers[screen];
    if (!given) return [];
    return [{ screen, item: code >> 1, swapped: code & 1, answer: given.answer, seconds: Math.round(given.seconds * 100) / 100 }];
  });
}

/**
 * @param {Progress} progress
 * @param {number[]} form
 */
export function jsonOf(progress, form) {
  const { study, rater } = progress;
  return JSON.stringify({ schema: 1, study, rater, form: progress.form, answers: rowsOf(progress, form) }, null, 1);
}

/**
 * @param {Progress} progress
 * @param {number[]} form
 */
export function csvOf(progress, form) {
  const { study, rater } = progress;
  const lines = rowsOf(progress, form).map((row) => {
    const values = /** @type {Record<string, string | number>} */ ({ study, rater, form: progress.form, ...row });
    return COLUMNS.map((name) => values[name]).join(",");
  });
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}
