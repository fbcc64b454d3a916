// The API key of these pages. It is kept in this module only, so that it is gone with the tab: no storage, no cookie.

/** The key that works while no other is configured; /status says whether it does. */
const DEVELOPMENT_KEY = "secret123";

let key = null;
/** The promise of a key that the reader was asked for; null while nobody asks. */
let asked = null;

/** Tells the form that a key is wanted: the event `asked` has `problem` and `answer(key or null)`. */
export const access = new EventTarget();

/** The key, or null. */
export function currentKey() {
  return key;
}

/** Sets or forgets the key. */
export function setKey(value) {
  key = value;
  access.dispatchEvent(new Event("changed"));
}

/** True while the development key is in use. */
export function isDevelopment() {
  return key === DEVELOPMENT_KEY;
}

/** Uses the development key, unless the reader has given one. */
export function useDevelopmentKey() {
  if (key === null) {
    setKey(DEVELOPMENT_KEY);
  }
}

/**
 * Asks the reader for a key. All who ask meanwhile get the same answer.
 * @param {{status: number, detail: string}|null} problem why it is asked for
 * @returns {Promise<boolean>} false when the reader declines
 */
export function askForKey(problem) {
  asked ??= new Promise((resolve) => {
    const answer = (value) => {
      asked = null;
      if (value !== null) {
        setKey(value);
      }
      resolve(value !== null);
    };
    access.dispatchEvent(new CustomEvent("asked", { detail: { problem, answer } }));
  });
  return asked;
}
