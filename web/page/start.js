// @ts-check
// The page's one phone. A script of its own, so that it learns the network and loads the node while the views still come.
import { Phone } from '/partyline/phone.js';
import { recall } from './preferences.js';

export const phone = new Phone({ origin: location.origin, relayOnly: recall('relayOnly', false) });
