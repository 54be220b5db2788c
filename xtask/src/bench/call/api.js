// Partyline's phone and nothing else, beside the page that holds nothing but JsSIP.
import { Phone } from '/partyline/phone.js';

const phone = window.phone = new Phone();
const { dataset } = document.body;
phone.addEventListener('state', () => { dataset.state = phone.state; });
phone.addEventListener('associations', ({ detail: { up } }) => { dataset.associations = up; });
phone.addEventListener('incoming', ({ detail: { call } }) => { if (window.auto) call.answer({ audio: true, video: false }); });
await phone.start();
if (phone.state === 'signed-out') await phone.signInAsGuest();
