// Parts of the page that the server renders again.

import { morph } from "./morph.js";

const LONGEST_FETCH_MS = 15000;

/** A part of the page that is fetched again when it is out of date, at a bounded rate. */
export class Fragment {
  #isStale = false;
  #isLoading = false;
  #timer = null;
  #notBefore = 0;
  #shown = null;

  /**
   * @param {HTMLElement} element Has `data-fragment`, the address of its content.
   * @param {number} pause Milliseconds between two loads at least.
   * @param {{onSwap?: Function, onOutcome?: Function}} told `onSwap(noted, begun)` after a change, with what `morph`
   *   returns and when the load began; `onOutcome(outcome)` after every load: `ok`, `signed-out`, `gone` or `failed`.
   */
  constructor(element, pause, told = {}) {
    this.element = element;
    this.pause = pause;
    this.told = told;
  }

  /**
   * Say that it is out of date.
   * @param {number} spread It is loaded at a random moment within so many milliseconds: many pages hear of a change at
   *   the same moment, and the service is not to hear of all of them at once.
   */
  invalidate(spread = 0) {
    this.#isStale = true;
    this.#notBefore = Math.max(this.#notBefore, performance.now() + Math.random() * spread);
    this.#plan();
  }

  /** Note that others have changed its content. */
  forget() {
    this.#shown = null;
  }

  #plan() {
    if (!this.#isStale || this.#isLoading || this.#timer !== null) return;
    const wait = Math.max(0, this.#notBefore - performance.now());
    this.#timer = setTimeout(() => this.#load(), wait);
  }

  async #load() {
    this.#timer = null;
    this.#isStale = false;
    this.#isLoading = true;
    const begun = performance.now();
    const outcome = await this.#fetch(begun);
    this.#isLoading = false;
    // A slow service is asked less often: loading takes at most a quarter of the time.
    this.#notBefore = performance.now() + Math.max(this.pause, 3 * (performance.now() - begun));
    this.told.onOutcome?.(outcome);
    this.#plan();
  }

  async #fetch(begun) {
    try {
      // The browser asks with the tag of what it has; the service then only says whether anything happened since.
      const response = await fetch(this.element.dataset.fragment, {
        headers: { Accept: "text/html" },
        redirect: "manual",
        signal: AbortSignal.timeout(LONGEST_FETCH_MS),
      });
      if (response.type === "opaqueredirect" || response.status === 401) return "signed-out";
      if (response.status === 404) return "gone";
      if (!response.ok) return "failed";
      const text = await response.text();
      if (text === this.#shown) return "ok";
      const parsed = new DOMParser().parseFromString(text, "text/html");
      const noted = morph(this.element, parsed.body);
      this.#shown = text;
      this.told.onSwap?.(noted, begun);
      return "ok";
    } catch (error) {
      if (error instanceof TypeError || error instanceof DOMException) return "failed";
      throw error;
    }
  }
}
