// The JavaScript API of Partyline: `import { Phone } from '/partyline/phone.js'`.

/** What a phone is doing. `ready` means: it can call and be called. */
export type PhoneState = 'signed-out' | 'signing-in' | 'ready' | 'reconnecting';

/** What a call is doing. An outgoing one rings when the other side rings; an incoming one starts by ringing. */
export type CallState = 'calling' | 'ringing' | 'connecting' | 'in-call' | 'reconnecting' | 'ended';

/** Why a call ended. */
export type EndCode =
  /** Somebody hung up, as it should be. */
  | 'hung-up'
  /** The caller gave up before the answer. */
  | 'cancelled'
  /** The called person declined. */
  | 'declined'
  /** The called person is in another call. */
  | 'busy'
  /** Nobody answered within 60 seconds. */
  | 'no-answer'
  /** No such name in this network. */
  | 'not-found'
  /** The name exists, but its owner is not there now. */
  | 'offline'
  /** Another device of the called person took the call. */
  | 'answered-elsewhere'
  /** The location found was altered, out of date, or not signed by the person called. */
  | 'record-refused'
  /** The other side could not prove who it is. */
  | 'identity-refused'
  /** The media keys offered are not the ones that the other side signed. */
  | 'media-refused'
  /** There is no microphone. */
  | 'no-microphone'
  /** The browser or its user did not permit the microphone. */
  | 'permission-refused'
  /** The network did not carry the call. */
  | 'network'
  /** One's own credential has ended: sign in again. */
  | 'credential-expired'
  /** The two sides have no codec in common. */
  | 'not-acceptable'
  /** Anything else; `detail` says more. */
  | 'failed';

/** Codes of {@link PhoneError} and of the phone's `problem` event. */
export type ProblemCode =
  | EndCode
  /** Called before `start()` was done, or while signed out. */
  | 'signed-out'
  /** The name is not one that can be called. */
  | 'bad-name'
  /** The super node that serves the page does not answer, and nothing is known from earlier. */
  | 'no-super-node'
  /** The only super node there is couldn't prove that it belongs to this overlay; nothing was sent to it. */
  | 'super-node-refused'
  /** The network has no login server: nobody can sign in to it from a page. */
  | 'no-sign-in'
  /** The login server does not answer. */
  | 'no-login-server'
  /** The login server refused; `detail` is its sentence. */
  | 'login-refused'
  /** The login server now names another root than the one pinned for this network. */
  | 'root-changed'
  /** This device was revoked: sign in again. */
  | 'credential-revoked'
  /** A newer page uses the same certificate; this one can't be called. */
  | 'replaced'
  /** Another tab of this browser holds the phone. `takeOver()` fetches it. */
  | 'other-tab'
  /** The browser lacks something; `detail` names it. */
  | 'unsupported';

/** What is thrown and what promises are rejected with. */
export class PhoneError extends Error {
  constructor(code: ProblemCode, detail?: string);
  readonly code: ProblemCode;
  /** For a log, not for a person. */
  readonly detail: string;
}

/** Who is signed in. */
export interface Identity {
  /** `sip:alice@example.org` */
  readonly uri: string;
  /** `alice` */
  readonly name: string;
  readonly guest: boolean;
  /** When the credential ends, in milliseconds since 1970. It is renewed long before. */
  readonly expires: number;
}

/** The other side of a call. */
export interface Party {
  /** `sip:bob@example.org` */
  readonly uri: string;
  /** `bob`, or the name that he signed. */
  readonly name: string;
  /** Whether his signature has been checked. For an incoming call: always. */
  readonly verified: boolean;
  /**
   * He is at a SIP phone: the super node that speaks for him was checked in his place, and sound and keys are that one's. Such a
   * call is not end to end.
   */
  readonly bridged?: boolean;
}

/**
 * What to send of oneself. Both default to `true` in `call()`, and to what the caller offers in `answer()`.
 * Constraints choose a device: `{ deviceId: { ideal: id } }`.
 */
export interface MediaChoice {
  audio?: boolean | MediaTrackConstraints;
  video?: boolean | MediaTrackConstraints;
}

/** Why and how a call ended. */
export interface CallEnd {
  readonly code: EndCode;
  /** For a log, not for a person; may be empty. */
  readonly detail: string;
}

/** A look at a call's media. Numbers are since the call began. */
export interface CallStats {
  /** `relayed` when either side needs a relay; `null` while no pair of addresses is chosen. */
  path: 'direct' | 'relayed' | null;
  /** Round trip in milliseconds, `null` while unknown. */
  rtt: number | null;
  bytesReceived: number;
  bytesSent: number;
  packetsReceived: number;
  packetsLost: number;
  /** Variation of the audio packets' delay in milliseconds. */
  jitter: number | null;
  framesDecoded: number;
  frameWidth: number;
  frameHeight: number;
  /** Such as `audio/opus`; `null` when nothing has come in. */
  audioCodec: string | null;
  videoCodec: string | null;
}

interface PhoneEvents {
  /** `phone.state` or `phone.identity` changed. */
  state: CustomEvent<{ state: PhoneState }>;
  /** Somebody calls. */
  incoming: CustomEvent<{ call: Call }>;
  /** Somebody called while this phone was in a call, and was told that it is busy. */
  missed: CustomEvent<{ peer: Party }>;
  /** The number of super nodes that this phone is associated with changed. Two are wanted, one is enough. */
  associations: CustomEvent<{ up: number }>;
  /** Something that the page should say. */
  problem: CustomEvent<{ code: ProblemCode; detail: string }>;
}

interface CallEvents {
  state: CustomEvent<{ state: CallState }>;
  /** `localStream`, `remoteStream` or what they contain changed. */
  streams: CustomEvent<null>;
  muted: CustomEvent<{ muted: boolean }>;
  camera: CustomEvent<{ on: boolean }>;
  ended: CustomEvent<CallEnd>;
}

/** A phone: one identity on one browser. */
export class Phone extends EventTarget {
  /**
   * @param options `origin`: the super node to learn the network from; the page's own by default. `relayOnly`: as the
   * property of that name.
   */
  constructor(options?: { origin?: string; relayOnly?: boolean });

  /**
   * Whether calls go by relays alone, so that nobody who is called or calls learns the own address. It holds for calls
   * that begin later.
   */
  relayOnly: boolean;

  readonly state: PhoneState;
  readonly identity: Identity | null;
  /** The login server's page for devices and password; `null` until the network is known, or if it has none. */
  readonly accountUrl: string | null;
  /** Calls that have not ended. */
  readonly calls: readonly Call[];

  /**
   * Signs in with what this browser kept, or with what the login server just handed back in the address.
   * Resolves when the phone is signed out or on its way to `ready`; call it once.
   */
  start(): Promise<void>;
  /** Leaves for the login server; `start()` picks up on return. */
  signIn(options?: { hint?: string }): Promise<void>;
  /** Leaves for the login server's page for new accounts. */
  createAccount(): Promise<void>;
  /** Gets a guest's credential; rejects with `login-refused` when there are no guests here. */
  signInAsGuest(name?: string): Promise<void>;
  /** Hangs up, takes the location record back and forgets the keys of this browser. */
  signOut(): Promise<void>;
  /** Fetches the phone from another tab, after the problem `other-tab`. */
  takeOver(): Promise<void>;
  /**
   * Prepares for a call: call it when the dial field gets the focus, again with the name once it is typed.
   * Opens the microphone only if that is permitted already, and closes all after 30 seconds without a call.
   * `choice` says which one the call will want.
   */
  warm(target?: string, choice?: Pick<MediaChoice, 'audio'>): void;
  /**
   * Calls `bob`, `bob@example.org` or `sip:bob@example.org`. Returns at once; all that can go wrong later is the
   * call's `ended`.
   * @throws {PhoneError} `signed-out`, `bad-name`, `other-tab`
   */
  call(target: string, choice?: MediaChoice): Call;

  addEventListener<K extends keyof PhoneEvents>(
    type: K, listener: (this: Phone, event: PhoneEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof PhoneEvents>(
    type: K, listener: (this: Phone, event: PhoneEvents[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

/** One call. Made by `phone.call()` or handed over by the phone's `incoming`. */
export class Call extends EventTarget {
  private constructor();

  readonly id: number;
  readonly direction: 'outgoing' | 'incoming';
  readonly peer: Party;
  readonly state: CallState;
  /** What is sent: empty of tracks until the devices are open. */
  readonly localStream: MediaStream;
  /** What comes in. Attach it to a media element; playing it is the page's part. */
  readonly remoteStream: MediaStream;
  readonly muted: boolean;
  readonly cameraOn: boolean;
  /** Whether the other side offers or sends video. */
  readonly remoteVideo: boolean;
  /** `Date.now()` when media began to flow, else `null`. */
  readonly startedAt: number | null;
  /** Set once the call has ended. */
  readonly end: CallEnd | null;

  /** Takes an incoming call. Without a camera it goes on with sound alone. */
  answer(choice?: MediaChoice): Promise<void>;
  /** Refuses an incoming call. */
  decline(): void;
  /** Ends the call in any state; gives up one that isn't answered yet. */
  hangUp(): void;
  mute(muted: boolean): void;
  /** Turns one's own camera on or off. Rejects with `permission-refused` or `failed`. */
  camera(on: boolean): Promise<void>;
  stats(): Promise<CallStats>;

  addEventListener<K extends keyof CallEvents>(
    type: K, listener: (this: Call, event: CallEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof CallEvents>(
    type: K, listener: (this: Call, event: CallEvents[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}
