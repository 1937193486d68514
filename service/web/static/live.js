// The study's events: a stream while the page is looked at, polling while there is none, and a word on which it is.

const KINDS = [
  "study_created", "study_changed", "study_edited", "trial_created", "trial_imported", "trial_started", "measured",
  "trial_requeued", "trial_paused", "trial_ended", "round_opened",
];
const POLL_MS = 4000;
const RETRY_MS = 3000;

/** Show how fresh the page is. */
export function indicate(state, words) {
  const indicator = document.getElementById("live");
  if (!indicator || (indicator.dataset.state === state && indicator.querySelector(".words").textContent === words)) return;
  indicator.dataset.state = state;
  indicator.querySelector(".words").textContent = words;
}

/** Call a function every few seconds while the page is looked at. */
export class Poll {
  #timer = null;

  constructor(call, interval = POLL_MS) {
    this.call = call;
    this.interval = interval;
  }

  start() {
    this.#timer ??= setInterval(this.call, this.interval);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** The stream of a study's events. */
export class Stream {
  #source = null;
  #retry = null;
  #isOver = false;

  /**
   * @param {string} url Address of the events.
   * @param {number} seq Number of the last event that the page shows.
   * @param {{onEvent: Function, onGap: Function}} told `onEvent(kind, data)` for each event; `onGap()` whenever events
   *   may have been missed and all of the page must be fetched again.
   */
  constructor(url, seq, told) {
    this.url = url;
    this.seq = seq;
    this.told = told;
    this.poll = new Poll(() => told.onGap());
    // Browsers allow few connections to a host: pages that nobody looks at must not hold one.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#resume()));
    window.addEventListener("pagehide", () => this.#rest());
    window.addEventListener("pageshow", (event) => event.persisted && this.#resume());
    if (!document.hidden) this.#connect();
  }

  /** Note that the page shows all events up to this one. */
  reached(seq) {
    this.seq = Math.max(this.seq, seq);
  }

  /** Stop for good. */
  end(words) {
    this.#isOver = true;
    this.#rest();
    indicate("lost", words);
  }

  #connect() {
    if (this.#isOver || this.#source) return;
    const source = new EventSource(`${this.url}?after=${this.seq}`);
    this.#source = source;
    source.onopen = () => {
      this.poll.stop();
      indicate("live", "live");
    };
    source.onerror = () => this.#failed(source);
    for (const kind of KINDS) source.addEventListener(kind, (message) => this.#received(kind, message));
  }

  #received(kind, message) {
    const seq = Number(message.lastEventId);
    if (seq <= this.seq) return;
    this.seq = seq;
    this.told.onEvent(kind, JSON.parse(message.data).data);
  }

  #failed(source) {
    if (source !== this.#source) return;
    indicate("polling", "reconnecting");
    this.poll.start();
    // The browser tries again by itself unless the service answered with an error.
    if (source.readyState !== EventSource.CLOSED) return;
    this.#source = null;
    this.#retry = setTimeout(() => this.#connect(), RETRY_MS);
  }

  #rest() {
    clearTimeout(this.#retry);
    this.poll.stop();
    this.#source?.close();
    this.#source = null;
  }

  #resume() {
    if (this.#isOver) return;
    this.told.onGap();
    this.#connect();
  }
}
