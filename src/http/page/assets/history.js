// The last 15 minutes of every shard, one sample a second. Samples have their place by time, so that curves stay when
// the facade is restarted and counts its snapshots anew.

/** The number of samples. */
export const LENGTH = 900;

/** How a live sample is found in what /status says of a shard; /status?history has the same names. */
const METRICS = {
  requests_per_s: (shard) => total(shard.requests_per_s),
  errors_per_s: (shard) => shard.errors_per_s,
  p50_ms: (shard) => shard.p50_ms,
  p99_ms: (shard) => shard.p99_ms,
  commit_p99_ms: (shard) => shard.commit_p99_ms,
  batch_size: (shard) => shard.batch_size,
  queue: (shard) => shard.queue,
  open_orders: (shard) => shard.open_orders,
  memory_bytes: (shard) => shard.memory_bytes,
  records: (shard) => shard.records_total,
  idempotency_keys: (shard) => shard.idempotency_keys,
};

/** The requests of all classes, of a shard or of the facade. */
export function total(rates) {
  return rates ? rates.reads + rates.writes + rates.orders : null;
}

export class History {
  /** @type {Array<Object<string, Float64Array>>} for each shard its samples by metric; NaN where there was none */
  #shards = [];
  /** The time of the last sample, in milliseconds. */
  #end = 0;
  #interval = 1000;

  /** The number of seconds since the last sample before a time; `LENGTH` when there is none. */
  missing(now = Date.now()) {
    return this.#end === 0 ? LENGTH : Math.min(LENGTH, Math.ceil((now - this.#end) / this.#interval) + 2);
  }

  /** A shard's samples, the newest last. */
  samples(shard, metric) {
    return this.#shards[shard][metric];
  }

  /** Takes an answer of /status, with its `history` where it has one. */
  add(status) {
    this.#interval = status.interval_s * 1000;
    this.#advance(Date.parse(status.at), status.shards.length);
    if (status.history) {
      this.#fill(status.history.shards);
    }
    status.shards.forEach((shard, index) => {
      for (const [metric, of] of Object.entries(METRICS)) {
        this.#shards[index][metric][LENGTH - 1] = of(shard) ?? NaN;
      }
    });
  }

  #advance(time, shards) {
    while (this.#shards.length < shards) {
      this.#shards.push(Object.fromEntries(Object.keys(METRICS).map((metric) => [metric, emptySamples()])));
    }
    const steps = this.#end === 0 ? 0 : Math.round((time - this.#end) / this.#interval);
    this.#end = time;
    if (steps === 0) {
      return;
    }
    for (const samples of this.#shards.flatMap(Object.values)) {
      // A clock that was set back leaves nothing that has a place.
      const kept = steps < 0 || steps >= LENGTH ? 0 : LENGTH - steps;
      samples.copyWithin(0, LENGTH - kept);
      samples.fill(NaN, kept);
    }
  }

  #fill(shards) {
    shards.forEach((metrics, index) => {
      for (const metric of Object.keys(METRICS)) {
        const known = metrics[metric].slice(-LENGTH);
        known.forEach((value, at) => {
          this.#shards[index][metric][LENGTH - known.length + at] = value ?? NaN;
        });
      }
    });
  }
}

function emptySamples() {
  return new Float64Array(LENGTH).fill(NaN);
}
