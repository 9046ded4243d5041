// The switches beside the picture.

import { LAYOUTS, STYLES } from "./state.js";
import { make, percent } from "./dom.js";
import { targetOf } from "./tiles.js";

/** The form with all switches. */
export class Controls {
  /**
   * @param {HTMLElement} form
   * @param {import("./maps.js").Clip[]} clips
   * @param {import("./state.js").State} state
   * @param {string[]} palettes
   */
  constructor(form, clips, state, palettes) {
    this.form = form;
    this.clips = clips;
    this.state = state;
    form.addEventListener("submit", (submit) => submit.preventDefault());
    const labels = unique(clips.flatMap((clip) => clip.targets.map((target) => target.label)));
    this.target = this.select("Class", labels.map((label) => [label, this.withProbability(label)]), (label) => {
      state.set({ target: this.nameOf(label, this.contrast.value) });
    });
    this.contrast = this.select("Held against", [], (contrast) => {
      state.set({ target: this.nameOf(this.target.value, contrast) });
    });
    const methods = unique(clips.flatMap((clip) => clip.targets.flatMap((target) => target.maps.map((/** @type {any} */ map) => map.method))));
    this.method = this.select("Method", methods.map((name, place) => [name, name, place < 9 ? String(place + 1) : ""]), (method) => state.set({ method }));
    this.styles = STYLES.filter(([style]) => style !== "signed" || clips.some((clip) => clip.targets.some((target) => target.maps.some((/** @type {any} */ map) => map.isSigned))));
    this.style = this.select("Drawn as", this.styles, (style) => state.set({ style: /** @type {any} */ (style) }));
    const layouts = LAYOUTS.filter(([layout]) => this.isUseful(layout, methods.length));
    this.layout = this.select("Pictures", layouts, (layout) => state.set({ layout: /** @type {any} */ (layout) }));
    this.palette = this.select("Colours", palettes.map((name) => [name, name]), (palette) => state.set({ palette }));
    this.opacity = this.range("Opacity", (opacity) => state.set({ opacity }));
    this.threshold = this.range("Hide heat below", (threshold) => state.set({ threshold }));
    this.scale = this.select("1 is the strongest of", [["video", "the video"], ["window", "each window"]], (scale) => state.set({ scale: /** @type {any} */ (scale) }));
    const reset = make("button", { type: "button", class: "quiet", text: "Reset" });
    reset.addEventListener("click", () => state.set({ ...state.first }));
    form.append(reset);
    hide(this.contrast, !clips.some((clip) => clip.targets.some((target) => target.contrast !== null)));
  }

  /**
   * @param {string} layout
   * @param {number} methods
   */
  isUseful(layout, methods) {
    if (layout === "methods") return methods > 1;
    return layout !== "targets" || this.clips.some((clip) => clip.targets.length > 1);
  }

  /** @param {string} label */
  withProbability(label) {
    const found = this.clips.flatMap((clip) => clip.targets).find((target) => target.label === label), share = percent(found?.mean ?? null);
    return share ? `${label} (${share})` : label;
  }

  /**
   * @param {string} label
   * @param {string} contrast
   */
  nameOf(label, contrast) {
    const named = this.clips.flatMap((clip) => clip.targets).filter((target) => target.label === label);
    return (named.find((target) => (target.contrast ?? "") === contrast) ?? named[0]).name;
  }

  /**
   * @param {string} label
   * @param {string[][]} options value, text, key
   * @param {(value: string) => void} change
   */
  select(label, options, change) {
    const id = `set-${label.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
    const select = make("select", { id });
    fill(select, options);
    select.addEventListener("change", () => change(select.value));
    this.form.append(make("div", { class: "field" }, make("label", { for: id, text: label }), select));
    return select;
  }

  /**
   * @param {string} label
   * @param {(share: number) => void} change
   */
  range(label, change) {
    const id = `set-${label.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
    const input = make("input", { id, type: "range", min: 0, max: 100, step: 1 }), shown = make("output", { for: id });
    input.addEventListener("input", () => change(Number(input.value) / 100));
    this.form.append(make("div", { class: "field" }, make("label", { for: id, text: label }), make("span", { class: "slide" }, input, shown)));
    return { input, shown };
  }

  /** Show what is chosen. */
  update() {
    const { choice } = this.state, target = targetOf(this.clips[0], choice.target);
    const chosen = this.clips.flatMap((clip) => clip.targets).find((each) => each.name === choice.target) ?? target;
    this.target.value = chosen.label;
    const against = this.clips.flatMap((clip) => clip.targets).filter((each) => each.label === chosen.label).map((each) => each.contrast ?? "");
    fill(this.contrast, unique(against).map((name) => [name, name || "nothing"]));
    this.contrast.value = chosen.contrast ?? "";
    this.method.value = chosen.map(choice.method).method;
    this.style.value = choice.style;
    this.layout.value = choice.layout;
    this.palette.value = choice.palette;
    this.scale.value = choice.scale;
    for (const [range, share] of /** @type {[any, number][]} */ ([[this.opacity, choice.opacity], [this.threshold, choice.threshold]])) {
      range.input.value = String(Math.round(share * 100));
      range.shown.textContent = `${Math.round(share * 100)} %`;
      range.input.style.setProperty("--share", `${share * 100}%`);
    }
    this.opacity.input.disabled = !["overlay", "cells", "signed"].includes(choice.style);
    this.palette.disabled = choice.style === "signed";
    this.threshold.input.disabled = ["contour", "none"].includes(choice.style);
  }
}

/**
 * @param {HTMLSelectElement} select
 * @param {string[][]} options
 */
function fill(select, options) {
  const former = [...select.options].map((option) => option.value).join("\n");
  if (former === options.map(([value]) => value).join("\n") && select.options.length) return;
  select.replaceChildren(...options.map(([value, text, key]) => make("option", { value, text: key ? `${text}  (${key})` : text })));
}

/**
 * @param {HTMLElement} field
 * @param {boolean} isHidden
 */
function hide(field, isHidden) {
  if (field.parentElement) field.parentElement.hidden = isHidden;
}

/**
 * @template Value
 * @param {Value[]} values
 */
function unique(values) {
  return [...new Set(values)];
}
