// Requests to the store: with the key where there is one, with an Idempotency-Key for each write, and repeated where
// that is safe.

import { askForKey, currentKey } from "./access.js";

/** The store's address, also behind a prefix of a proxy. */
export const ROOT = new URL("../", import.meta.url);

/** The time for which a write is repeated, in milliseconds. */
const PATIENCE_MS = 30_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3_000;

/** An answer that is an error, or no answer: `status` is 0 then. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {Object} body the problem document
   * @param {number|null} retryAfter seconds
   */
  constructor(status, body, retryAfter = null) {
    super(body.detail ?? `the store answered ${status}`);
    this.status = status;
    this.code = body.code ?? null;
    this.requestId = body.request_id ?? null;
    /** @type {Array<Object>} the lines of an order that cannot be sold */
    this.lines = body.lines ?? [];
    this.retryAfter = retryAfter;
  }

  /** True when the store says, or nobody can say, that the same request may succeed later. */
  get isPassing() {
    const isHeld = this.status === 409 && (this.code === "in_flight" || this.code === "stock_held");
    return isHeld || [0, 408, 429, 503, 504].includes(this.status);
  }

  /** True when a key, or another key, would help. */
  get wantsKey() {
    return this.status === 401 || (this.status === 403 && this.code === "forbidden");
  }
}

/** A new Idempotency-Key. `crypto.randomUUID` would be absent on plain http from another machine. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Makes a path of segments, each percent-encoded. */
export function path(...segments) {
  return segments.map(encodeURIComponent).join("/");
}

/**
 * Reads a path and returns its JSON. The reader is asked for a key where one is needed.
 * @param {string} target relative to the store's address
 * @param {{signal?: AbortSignal}} [options]
 */
export async function read(target, options = {}) {
  return json(await insistOnKey(() => attempt("GET", target, options)));
}

/** Opens a stream: a response whose body goes on. */
export async function open(target, options) {
  return insistOnKey(() => attempt("GET", target, options));
}

/**
 * Writes, and repeats the write under the same Idempotency-Key while the store cannot take it or its answer is lost.
 * @param {string} method
 * @param {string} target
 * @param {Object|null} body
 * @param {{key?: string, onWait?: function(Problem, number): void}} [options] `onWait` hears why and how often it was
 *   sent before
 */
export async function write(method, target, body, { key = newKey(), onWait = () => {} } = {}) {
  const end = performance.now() + PATIENCE_MS;
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await json(await insistOnKey(() => attempt(method, target, { body, key })));
    } catch (problem) {
      const pause = pauseAfter(problem, attempts);
      if (!problem.isPassing || performance.now() + pause > end) {
        throw problem;
      }
      onWait(problem, attempts);
      await sleep(pause);
    }
  }
}

/** Sends something once, where a repetition would do it twice. */
export async function sendOnce(method, target, body) {
  return json(await insistOnKey(() => attempt(method, target, { body })));
}

/** Checks a key with a read that every key may do. Throws the problem if the store refuses it. */
export async function checkKey(key) {
  await attempt("GET", "api/books?limit=1", { apiKey: key });
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A growing pause with jitter, in milliseconds; at least what the store asks for. */
export function pauseAfter(problem, attempts) {
  const grown = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempts - 1));
  return Math.max((problem.retryAfter ?? 0) * 1000, grown * (0.5 + Math.random() / 2));
}

/** The JSON of an answer, which may break off like any answer. */
async function json(response) {
  try {
    return await response.json();
  } catch (error) {
    throw asProblem(error);
  }
}

function asProblem(error) {
  if (error.name === "AbortError") {
    return error;
  }
  return new Problem(0, { code: "no_answer", detail: "the store gave no answer" });
}

async function insistOnKey(send) {
  for (;;) {
    try {
      return await send();
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.wantsKey || !(await askForKey(problem))) {
        throw problem;
      }
    }
  }
}

async function attempt(method, target, { body = null, key = null, signal = undefined, apiKey = currentKey() }) {
  const headers = {};
  if (body !== null) {
    headers["Content-Type"] = "application/json";
  }
  if (key !== null) {
    headers["Idempotency-Key"] = key;
  }
  if (apiKey !== null) {
    headers["X-API-Key"] = apiKey;
  }
  let response;
  try {
    const content = body === null ? undefined : JSON.stringify(body);
    response = await fetch(new URL(target, ROOT), { method, headers, body: content, signal, cache: "no-store" });
  } catch (error) {
    throw asProblem(error);
  }
  if (response.ok) {
    return response;
  }
  const document = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After"));
  throw new Problem(response.status, document, Number.isFinite(seconds) && seconds > 0 ? seconds : null);
}
