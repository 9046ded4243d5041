// Play a video and name the frame that is shown. A seek ends when the browser has shown the very frame.

import { fromBase64, textOf } from "./unpack.js";
import { nearest } from "./arithmetic.js";

/** @typedef {{kind: string, href: string, embedded: string, type: string, starts: number, map: [string, string] | null}} Source */

const PATIENCE_MS = 600;

/** Where in a frame's time a seek aims, one attempt after the other. */
const AIMS = [0.5, 0.25];

/** Speed at which a frame is reached that the browser passes over in every seek. */
const CREEP = 0.1;

/** One video, or a clock in its place. */
export class Player {
  /**
   * @param {import("./maps.js").Clip} clip
   */
  constructor(clip) {
    this.clip = clip;
    this.stamps = clip.stamps;
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.preload = "auto";
    this.video.tabIndex = -1;
    /** @type {Source | null} */
    this.source = null;
    /** The video that is played where a map does not bring its own.
     * @type {Source | null} */
    this.original = null;
    this.index = 0;
    this.named = -1;
    /** @type {number | null} */
    this.wanted = null;
    this.isPlaying = false;
    this.rate = 1;
    this.isReadable = false;
    /** @type {Promise<void> | undefined} */
    this.settling = undefined;
    /** Media time minus second of the source. */
    this.shift = 0;
    /** @type {(() => void)[]} */
    this.onframe = [];
    /** @type {(() => void)[]} */
    this.onpicture = [];
    /** @type {(() => void)[]} */
    this.onchange = [];
    this.video.addEventListener("ended", () => this.pause());
  }

  /** Whether heat is in the picture already. */
  get isDrawn() {
    return this.source?.kind === "overlay";
  }

  get second() {
    return this.stamps[this.index];
  }

  /** Take the first video that the browser plays; none of them: a clock. */
  async load() {
    for (const source of this.clip.data.videos) {
      if (await this.open(source)) {
        this.original = source;
        return;
      }
    }
    this.source = null;
    for (const listener of this.onchange) listener();
  }

  /**
   * @param {Source} source
   * @returns {Promise<boolean>} whether it can be played
   */
  async open(source) {
    const bytes = source.embedded ? URL.createObjectURL(new Blob([fromBase64(textOf(source.embedded))], { type: source.type })) : "";
    return this.openAddress(bytes || source.href, source, Boolean(bytes));
  }

  /**
   * @param {string} address
   * @param {Source} source
   * @param {boolean} isReadable whether the page may read the pixels
   */
  async openAddress(address, source, isReadable) {
    this.pause();
    const { index } = this; // the first frame of the new video would change it
    this.wanted = index;
    const first = this.nextPicture(4000);
    this.video.src = address;
    this.video.load();
    const isOpen = await event(this.video, "loadeddata", 15000);
    if (!isOpen || !this.video.videoWidth) {
      this.video.removeAttribute("src");
      this.wanted = null;
      return false;
    }
    const time = await first;
    this.source = source;
    this.isReadable = isReadable;
    this.shift = (time ?? 0) - source.starts;
    this.named = -1;
    if (!this.isWatching) this.watch();
    this.video.playbackRate = this.rate;
    for (const listener of this.onchange) listener();
    await this.seek(index);
    return true;
  }

  /**
   * Media time of the next frame that is shown.
   * @param {number} patience in milliseconds
   * @returns {Promise<number | null>}
   */
  nextPicture(patience) {
    return new Promise((resolve) => {
      setTimeout(() => resolve(null), patience);
      if (!this.video.requestVideoFrameCallback) {
        this.video.addEventListener("loadeddata", () => resolve(this.video.currentTime), { once: true });
      } else this.video.requestVideoFrameCallback((_, frame) => resolve(frame.mediaTime));
    });
  }

  /** Follow the frames that are shown. */
  watch() {
    this.isWatching = true;
    /** @param {number} mediaTime */
    const shown = (mediaTime) => {
      this.named = nearest(this.stamps, mediaTime - this.shift);
      for (const listener of this.onpicture) listener();
      if (this.wanted === null) this.announce(this.named);
      if (this.isPlaying && this.named >= this.stamps.length - 1 && this.wanted === null) this.pause();
    };
    if (this.video.requestVideoFrameCallback) {
      /** @type {VideoFrameRequestCallback} */
      const next = (_, frame) => {
        this.video.requestVideoFrameCallback(next);
        shown(frame.mediaTime);
      };
      this.video.requestVideoFrameCallback(next);
      return;
    }
    let last = -1; // an old browser: the time is all there is
    const poll = () => {
      requestAnimationFrame(poll);
      if (this.video.currentTime !== last && !this.video.seeking) shown((last = this.video.currentTime));
    };
    poll();
  }

  /** @param {number} index of the frame whose maps are to be drawn */
  announce(index) {
    this.index = index;
    for (const listener of this.onframe) listener();
  }

  /**
   * Show a frame. Maps are drawn at once; the picture follows. Only the last of several wishes is fulfilled.
   * @param {number} index
   */
  seek(index) {
    const wanted = Math.min(Math.max(Math.round(index), 0), this.stamps.length - 1);
    if (!this.source) {
      this.announce(wanted);
      return Promise.resolve();
    }
    this.wanted = wanted;
    this.announce(wanted);
    this.settling ??= this.settle().finally(() => (this.settling = undefined));
    return this.settling;
  }

  async settle() {
    while (this.wanted !== null) {
      const target = this.wanted;
      let isShown = false;
      for (const aim of AIMS) {
        isShown = await this.shows(target, aim);
        if (isShown || this.wanted !== target) break;
      }
      if (!isShown && this.wanted === target && !this.isPlaying) await this.creepTo(target);
      if (this.wanted === target) {
        this.wanted = null;
        if (this.named >= 0 && this.named !== this.index) this.announce(this.named);
      }
    }
  }

  /**
   * @param {number} index
   * @param {number} aim
   * @returns {Promise<boolean>} whether the frame is shown
   */
  async shows(index, aim) {
    const start = this.stamps[index], end = this.stamps[index + 1] ?? Math.max(this.clip.end, start + 0.01);
    const time = Math.max(0, start + aim * Math.min(end - start, 1) + this.shift);
    const done = event(this.video, "seeked", 5000);
    this.video.currentTime = time;
    await done;
    const until = performance.now() + PATIENCE_MS;
    while (this.named !== index && performance.now() < until) {
      if (this.isPlaying && this.named > index && this.named < index + 30) return true;
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    return this.named === index;
  }

  /**
   * Reach a frame from the one before: Chromium passes over some frames of variable rates in every seek.
   * @param {number} index
   */
  async creepTo(index) {
    if (index < 1 || !(await this.shows(index - 1, 0.5))) return;
    const { video } = this, { muted } = video, until = performance.now() + 3000;
    video.muted = true;
    video.playbackRate = CREEP;
    await video.play().catch(() => undefined);
    while (this.named < index && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 2));
    video.pause();
    video.muted = muted;
    video.playbackRate = this.rate;
    await new Promise((resolve) => setTimeout(resolve, 60)); // a frame that is under way
  }

  async play() {
    if (this.index >= this.stamps.length - 1) await this.seek(0);
    this.isPlaying = true;
    for (const listener of this.onchange) listener();
    if (this.source) {
      await this.video.play().catch(() => this.pause());
      return;
    }
    let before = performance.now(), second = this.second;
    const tick = () => {
      if (!this.isPlaying) return;
      const now = performance.now();
      second += ((now - before) / 1000) * this.rate;
      before = now;
      this.announce(nearest(this.stamps, second));
      if (second >= this.clip.end) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  pause() {
    this.video.pause();
    if (!this.isPlaying) return;
    this.isPlaying = false;
    for (const listener of this.onchange) listener();
  }

  /** @param {number} rate */
  setRate(rate) {
    this.rate = rate;
    this.video.playbackRate = rate;
  }
}

/**
 * Wait for an event of a video; false if an error comes first, or nothing.
 * @param {HTMLVideoElement} video
 * @param {string} name
 * @param {number} patience in milliseconds
 * @returns {Promise<boolean>}
 */
function event(video, name, patience) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), patience);
    /** @param {boolean} result */
    const end = (result) => {
      clearTimeout(timer);
      resolve(result);
    };
    video.addEventListener(name, () => end(true), { once: true });
    video.addEventListener("error", () => end(false), { once: true });
  });
}

/** Several players in step; the first one leads. */
export class Deck {
  /** @param {Player[]} players */
  constructor(players) {
    this.players = players;
    this.leader = players[0];
    for (const follower of players.slice(1)) this.leader.onframe.push(() => this.follow(follower));
    this.leader.onchange.push(() => {
      for (const follower of players.slice(1)) {
        if (this.leader.isPlaying) follower.play();
        else follower.pause();
      }
    });
  }

  /** @param {Player} follower */
  follow(follower) {
    const second = this.leader.second, index = follower.clip.frameAt(second);
    if (!this.leader.isPlaying) {
      if (follower.index !== index || follower.wanted !== null) follower.seek(index);
    } else if (Math.abs(follower.second - second) > 0.12 && follower.wanted === null) follower.seek(index);
  }

  get second() {
    return this.leader.second;
  }

  /** @param {number} second */
  seekTo(second) {
    return this.leader.seek(this.leader.clip.frameAt(second));
  }

  /** @param {number} frames */
  step(frames) {
    this.leader.pause();
    return this.leader.seek((this.leader.wanted ?? this.leader.index) + frames);
  }

  toggle() {
    if (this.leader.isPlaying) this.leader.pause();
    else this.leader.play();
  }

  /** @param {number} rate */
  setRate(rate) {
    for (const player of this.players) player.setRate(rate);
  }
}
