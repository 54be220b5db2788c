// @ts-check
// Settings: which microphone, camera and speaker, with a preview and a level; language; notifications.
import { listenOn } from './call-view.js';
import { button, byId, element, make, on, show, video, write } from './dom.js';
import { howToAllow } from './guide.js';
import { meter } from './meter.js';
import { constraints, recall, remember } from './preferences.js';
import { languages, say, speak } from './sentences.js';
import { play } from './tones.js';

/** @param {import('./line.js').Line} line */
export function settings(line) {
  const dialog = byId('settings', HTMLDialogElement);
  const microphone = byId('choose-microphone', HTMLSelectElement);
  const camera = byId('choose-camera', HTMLSelectElement);
  const speaker = byId('choose-speaker', HTMLSelectElement);
  const tongue = byId('choose-language', HTMLSelectElement);
  const shortcuts = byId('use-shortcuts', HTMLInputElement);
  const relayOnly = byId('relay-only', HTMLInputElement);
  const level = byId('microphone-level', HTMLMeterElement);
  /** @type {MediaStream | null} */
  let stream = null;
  let hush = () => {};

  const close = () => {
    hush();
    hush = () => {};
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    video('preview').srcObject = null;
    level.value = 0;
  };

  /** Opens what is chosen. Asks the browser's question only when `mayAsk`. @param {boolean} mayAsk */
  const preview = async (mayAsk) => {
    close();
    let guide = '';
    if (mayAsk || await allowed()) {
      try {
        stream = await openBoth();
      } catch (error) {
        guide = error instanceof DOMException && error.name === 'NotAllowedError' ? howToAllow() : say('settings.noDevice');
      }
    } else guide = say('settings.ask');
    if (!dialog.open) return close();
    video('preview').srcObject = stream;
    const seen = (stream?.getVideoTracks().length ?? 0) > 0;
    write(element('preview-empty'), seen ? '' : say(stream ? 'settings.noCamera' : 'settings.cameraOff'));
    show(element('settings-guide'), guide !== '');
    write(element('settings-guide'), guide);
    show(button('settings-allow'), stream === null);
    if (stream) hush = meter(stream, (value) => { level.value = value; });
    await list();
  };

  const list = async () => {
    const devices = await navigator.mediaDevices?.enumerateDevices() ?? [];
    fill(microphone, 'microphone', devices.filter(({ kind }) => kind === 'audioinput'));
    fill(camera, 'camera', devices.filter(({ kind }) => kind === 'videoinput'));
    fill(speaker, 'speaker', devices.filter(({ kind }) => kind === 'audiooutput'));
  };

  const talk = () => {
    tongue.replaceChildren(choice('', say('settings.browserLanguage')), ...Object.entries(languages).map(([tag, { own }]) => choice(tag, own)));
    tongue.value = recall('language', '');
  };

  on(button('open-settings'), 'click', () => {
    talk();
    shortcuts.checked = recall('shortcuts', true);
    relayOnly.checked = line.phone.relayOnly;
    show(button('allow-notices'), 'Notification' in window && Notification.permission === 'default');
    dialog.showModal();
    void preview(false);
  });
  on(dialog, 'close', () => {
    close();
    button('account-button').focus();
  });
  on(button('settings-allow'), 'click', () => void preview(true));
  for (const [place, key] of /** @type {const} */ ([[microphone, 'microphone'], [camera, 'camera'], [speaker, 'speaker']])) {
    on(place, 'change', () => {
      remember(key, place.value);
      if (key !== 'speaker') void preview(true);
    });
  }
  on(button('test-speaker'), 'click', () => void chime());
  on(tongue, 'change', () => {
    remember('language', tongue.value);
    speak(tongue.value || null);
    talk();
    void list();
    line.changed();
  });
  on(relayOnly, 'change', () => {
    line.phone.relayOnly = relayOnly.checked;
    remember('relayOnly', relayOnly.checked);
  });
  on(shortcuts, 'change', () => remember('shortcuts', shortcuts.checked));
  on(button('allow-notices'), 'click', async () => {
    await Notification.requestPermission();
    show(button('allow-notices'), Notification.permission === 'default');
  });
  navigator.mediaDevices?.addEventListener('devicechange', () => dialog.open && void list());

  return () => {
    // A call that begins takes the devices; one that rings wants the page.
    if (dialog.open && (line.live || line.view !== 'home')) dialog.close();
  };
}

/** Both, or the microphone alone where there is no camera. */
async function openBoth() {
  const { mediaDevices } = navigator;
  const audio = constraints('microphone');
  try {
    return await mediaDevices.getUserMedia({ audio, video: constraints('camera') });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotAllowedError') throw error;
    return mediaDevices.getUserMedia({ audio });
  }
}

/** Whether the microphone opens without a question. */
async function allowed() {
  try {
    const name = /** @type {PermissionName} */ ('microphone');
    return (await navigator.permissions.query({ name })).state === 'granted';
  } catch {
    return false;
  }
}

/** @param {HTMLSelectElement} place @param {string} key @param {MediaDeviceInfo[]} devices */
function fill(place, key, devices) {
  const named = devices.filter(({ deviceId }) => deviceId && deviceId !== 'default');
  place.replaceChildren(choice('', say('settings.default')),
    ...named.map(({ deviceId, label }, index) => choice(deviceId, label || say('settings.numbered', { number: index + 1 }))));
  place.value = recall(key, '');
  if (place.selectedIndex < 0) place.value = '';
  place.disabled = named.length === 0;
}

/** @param {string} value @param {string} text */
function choice(value, text) {
  const made = make('option', '', text);
  made.value = value;
  return made;
}

/** Two notes through the chosen speaker. */
async function chime() {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const player = new Audio();
  player.srcObject = out.stream;
  await listenOn(player, recall('speaker', ''));
  await player.play();
  play(context, [{ hertz: 659, at: 0.05, seconds: 0.5, gain: 0.2 }, { hertz: 988, at: 0.3, seconds: 0.8, gain: 0.2 }], out);
  setTimeout(() => void context.close(), 1_600);
}
