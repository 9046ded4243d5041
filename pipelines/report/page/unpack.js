// The inverse of vidcam/pipelines/report/packing.py, and the elements with bytes.

import { byId } from "./dom.js";

/** @typedef {{kind: string, offset: number, shape: number[], low: number, step: number}} Section */

const BYTES = { cells: 2, times: 8, floats: 4, counts: 4 };

/**
 * Bytes of a base64 text.
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fromBase64(text) {
  const quick = /** @type {any} */ (Uint8Array).fromBase64;
  if (quick) return quick(text);
  const binary = atob(text.trim()), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * @param {string} id of an element
 * @returns {string} its text
 */
export function textOf(id) {
  return document.getElementById(id)?.textContent ?? "";
}

/**
 * Decompress the block of a page.
 * @param {string} text base64 of zlib
 */
async function decompressed(text) {
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads the sections of a block. */
export class Block {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }

  /**
   * The values of a section, in the byte order of this machine, which is little-endian wherever browsers run.
   * @param {Section} section
   * @returns {ArrayBuffer}
   */
  buffer(section) {
    const size = BYTES[/** @type {keyof typeof BYTES} */ (section.kind)];
    const count = section.shape.reduce((product, length) => product * length, 1);
    const whole = new Uint8Array(count * size);
    for (let byte = 0; byte < size; byte++) {
      const start = section.offset + byte * count;
      for (let i = 0; i < count; i++) whole[i * size + byte] = this.bytes[start + i];
    }
    return whole.buffer;
  }

  /** @param {Section} section */
  cells(section) {
    const { shape, low, step } = section;
    return { shape, low, step, values: new Uint16Array(this.buffer(section)) };
  }

  /**
   * @param {Section} section
   * @returns {Float64Array} seconds
   */
  times(section) {
    const buffer = this.buffer(section), low = new Uint32Array(buffer), high = new Int32Array(buffer);
    const seconds = new Float64Array(low.length / 2);
    let sum = 0; // not by a BigInt64Array, which is slow
    for (let i = 0; i < seconds.length; i++) seconds[i] = (sum += high[2 * i + 1] * 2 ** 32 + low[2 * i]) / 1e6;
    return seconds;
  }

  /** @param {Section} section */
  floats(section) {
    return new Float32Array(this.buffer(section));
  }

  /** @param {Section} section */
  counts(section) {
    return new Uint32Array(this.buffer(section));
  }
}

/**
 * Unpack the page, and say so if the browser cannot show it.
 * @param {(data: any, block: Block) => void | Promise<void>} show
 */
export async function openPage(show) {
  try {
    const block = new Block(await decompressed(textOf("block")));
    await show(JSON.parse(textOf("data")), block);
  } catch (error) {
    byId("notice").hidden = false;
    byId("notice").textContent = `This browser cannot show the page (${error}). It needs one of 2023 or later.`;
    document.documentElement.dataset.ready = "false";
    throw error;
  }
}
