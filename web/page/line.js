// @ts-check
// The one thing that all views look at: the phone, the call there is, and what state the page is in.
import { constraints } from './preferences.js';
import { toast } from './toast.js';

/** @typedef {import('/partyline/phone.js').Phone} Phone */
/** @typedef {import('/partyline/phone.js').Call} Call */
/** @typedef {'signed-out' | 'signing-in' | 'ready' | 'calling' | 'ringing' | 'in-call' | 'ended' | 'reconnecting'} State */

/** Fires `change` whenever a view may look different, and `over` with `{ call, seconds }` when a call has ended. */
export class Line extends EventTarget {
  /** @type {Call | null} the call in progress, or the last one until its notice is closed */
  call = null;
  /** When the call's media started, in ms since 1970; 0 before. */
  since = 0;
  /** Whether the last call was wished with video. */
  video = true;
  /** Whether another tab of this browser has the phone. */
  tabbed = false;
  /** Whether the views will be told. */
  #news = false;
  #channel = new MessageChannel();

  /** @param {Phone} phone */
  constructor(phone) {
    super();
    this.phone = phone;
    this.#channel.port1.onmessage = () => {
      this.#news = false;
      this.dispatchEvent(new Event('change'));
    };
    for (const type of ['state', 'associations']) phone.addEventListener(type, () => this.changed());
    phone.addEventListener('problem', ({ detail: { code } }) => { this.tabbed ||= code === 'other-tab'; });
    phone.addEventListener('state', () => { this.tabbed &&= phone.state === 'reconnecting'; });
    phone.addEventListener('incoming', ({ detail: { call } }) => {
      // The phone itself answers busy; should two calls cross, the one that the user sees stays.
      if (this.live) call.decline();
      else this.take(call);
    });
  }

  /** Whether a call is in progress. */
  get live() {
    return this.call !== null && this.call.state !== 'ended';
  }

  /** @returns {State} what `body[data-state]` says */
  get state() {
    const { call, phone } = this;
    if (!phone.identity || phone.state === 'signed-out') return phone.state === 'signing-in' ? 'signing-in' : 'signed-out';
    if (!call) return phone.state;
    switch (call.state) {
      case 'ringing': return call.direction === 'incoming' ? 'ringing' : 'calling';
      case 'calling':
      case 'connecting': return 'calling';
      default: return call.state;
    }
  }

  /** @returns {'welcome' | 'waiting' | 'home' | 'call'} which part of the page is seen */
  get view() {
    const { state } = this;
    if (state === 'signed-out') return 'welcome';
    if (this.live) return state === 'ringing' ? 'home' : 'call';
    return state === 'signing-in' ? 'waiting' : 'home';
  }

  /** @param {string} uri @param {boolean} video */
  dial(uri, video) {
    if (this.live) return;
    if (this.tabbed) return toast.problem('other-tab');
    this.video = video;
    try {
      this.take(this.phone.call(uri, { audio: constraints('microphone'), video: video && constraints('camera') }));
    } catch (error) {
      toast.failure(error, 'other');
    }
  }

  /** @param {boolean} video */
  answer(video) {
    this.video = video;
    // What goes wrong here is the call's end, too.
    this.call?.answer({ audio: constraints('microphone'), video: video && constraints('camera') }).catch(() => {});
  }

  /** Ends the call in whatever way its state asks for. */
  leave() {
    if (this.state === 'ringing') this.call?.decline();
    else if (this.live) this.call?.hangUp();
  }

  /** Closes the notice of the call that ended. */
  dismiss() {
    if (this.live) return;
    this.call = null;
    this.changed();
  }

  /**
   * Tells the views, once for all that happens now, and after it: a call must not wait for its picture. (A timer would
   * wait for a second where the page is hidden.)
   */
  changed() {
    if (!this.#news) this.#channel.port2.postMessage(null);
    this.#news = true;
  }

  /** @param {Call} call */
  take(call) {
    this.call = call;
    this.since = 0;
    let over = false;
    const follow = () => {
      if (call.state === 'in-call' && !this.since) this.since = call.startedAt ?? Date.now();
      if (call.state === 'ended' && !over) {
        over = true;
        const seconds = this.since ? (Date.now() - this.since) / 1000 : 0;
        this.dispatchEvent(new CustomEvent('over', { detail: { call, seconds } }));
      }
      if (this.call === call) this.changed();
    };
    for (const type of ['state', 'streams', 'muted', 'camera', 'ended']) call.addEventListener(type, follow);
    follow();
  }
}
