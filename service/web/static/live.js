// The stream of changes to a page while it is looked at, polling while there is none, and a word on which it is.

const POLL_MS = 4000;
const RETRY_MS = 3000;
// A proxy that holds answers back lets the stream open and then says nothing.
const GREETING_MS = 6000;
const SILENCE_MS = 40000;

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

/** Whether a person lets the page stand still; remembered for as long as the tab is open. */
export class Hold {
  #key = `caviar-held:${location.pathname}`;
  #button = document.createElement("button");

  /** @param {(isHeld: boolean) => void} onChange Is told when the person decides otherwise. */
  constructor(onChange) {
    this.onChange = onChange;
    this.#button.type = "button";
    this.#button.className = "quiet hold";
    this.#button.dataset.client = "";
    this.#button.addEventListener("click", () => this.#toggle());
    document.getElementById("live")?.after(this.#button);
    this.#show();
  }

  get isHeld() {
    return sessionStorage.getItem(this.#key) !== null;
  }

  /** Nothing is live any more that could be held. */
  end() {
    this.#button.remove();
  }

  #toggle() {
    if (this.isHeld) sessionStorage.removeItem(this.#key);
    else sessionStorage.setItem(this.#key, "held");
    this.#show();
    this.onChange(this.isHeld);
  }

  #show() {
    this.#button.textContent = this.isHeld ? "Follow" : "Hold";
    this.#button.setAttribute("aria-label", this.isHeld ? "Follow live updates again" : "Hold live updates");
    this.#button.title = this.isHeld ? "Show what happens again" : "Let the page stand still for reading";
  }
}

/** Tells when the page is looked at and followed, and when it is not. */
export function whileWatched(begin, end) {
  let isOn = false;
  const hold = new Hold(() => settle());
  const settle = () => {
    const isWanted = !document.hidden && !hold.isHeld;
    if (hold.isHeld) indicate("held", "held: the page stands still");
    if (isWanted === isOn) return;
    isOn = isWanted;
    if (isOn) begin();
    else end();
  };
  // Browsers allow few connections to a host: pages that nobody looks at must not hold one.
  document.addEventListener("visibilitychange", settle);
  window.addEventListener("pagehide", () => isOn && ((isOn = false), end()));
  window.addEventListener("pageshow", settle);
  settle();
  return hold;
}

/** The stream of changes to a page. */
export class Stream {
  #source = null;
  #retry = null;
  #watch = null;
  #last = null;
  #isOver = false;

  /**
   * @param {string} url Address of the stream.
   * @param {number} seq Number of the study's last event that the page shows.
   * @param {{onNews?: Function, onChanged?: Function, onGap: Function}} told `onNews(data)` for changes to the page;
   *   `onChanged(kinds)` where only kinds of events are told; `onGap()` whenever all must be fetched again.
   */
  constructor(url, seq, told) {
    this.url = url;
    this.seq = seq;
    this.told = told;
    this.poll = new Poll(() => this.#fetchAll());
    this.hold = whileWatched(() => this.#connect(), () => this.#rest());
  }

  /** Stop for good. */
  end(words) {
    this.#isOver = true;
    this.#rest();
    this.hold.end();
    indicate("lost", words);
  }

  /** Ask for everything: what the page shows is not what the service takes it to show. */
  again() {
    this.#rest();
    this.#forget();
    this.#retry = setTimeout(() => this.#connect(), RETRY_MS);
  }

  #connect() {
    if (this.#isOver || this.#source) return;
    const address = new URL(this.url, location.href);
    for (const [name, value] of new URLSearchParams(location.search)) address.searchParams.append(name, value);
    address.searchParams.set("seq", this.seq);
    if (this.#last) address.searchParams.set("last", this.#last);
    const source = new EventSource(address);
    this.#source = source;
    source.onerror = () => this.#failed(source);
    source.addEventListener("hello", (message) => this.#greeted(message));
    source.addEventListener("beat", () => this.#heard());
    source.addEventListener("news", (message) => this.#received(message, (data) => this.told.onNews?.(data)));
    source.addEventListener("changed", (message) => this.#received(message, (data) => this.#changed(data)));
    source.addEventListener("end", () => this.end("deleted: there is nothing to follow"));
    this.#expect(GREETING_MS);
  }

  #greeted(message) {
    this.#last ||= message.lastEventId;
    this.poll.stop();
    indicate("live", "live");
    this.#heard();
  }

  #heard() {
    this.#expect(SILENCE_MS);
  }

  #received(message, apply) {
    this.#heard();
    if (message.lastEventId) this.#last = message.lastEventId;
    apply(JSON.parse(message.data));
  }

  #changed({ seq, kinds }) {
    this.seq = Math.max(this.seq, seq);
    this.told.onChanged?.(kinds);
  }

  #expect(within) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#silent(), within);
  }

  #silent() {
    this.#source?.close();
    this.#source = null;
    this.#fallBack();
  }

  #failed(source) {
    if (source !== this.#source) return;
    // The browser would try again by itself, but not tell the service what the page shows by then.
    source.close();
    this.#source = null;
    this.#fallBack();
  }

  #fallBack() {
    clearTimeout(this.#watch);
    indicate("polling", "reconnecting");
    this.poll.start();
    this.#retry = setTimeout(() => this.#connect(), RETRY_MS * (0.5 + Math.random()));
  }

  #fetchAll() {
    // What is fetched is newer than what the stream has told, by how much nobody knows.
    this.#forget();
    this.told.onGap();
  }

  #forget() {
    this.#last = null;
    this.seq = 0;
  }

  #rest() {
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    this.poll.stop();
    this.#source?.close();
    this.#source = null;
  }
}
