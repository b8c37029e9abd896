/** The option `backpressure`: on, off, or with settings of the rate estimator.
 *
 * Names and defaults are Spark's (`spark.streaming.backpressure.pid.*`); what they do is said in
 * driver/pid-rate-estimator.ts. @module */
import * as v from 'valibot';
import type { OptionKind } from './option-schemas.ts';
import type { Backpressure } from './options-types.ts';

/** Records a second. */
export const RATE_MAX: number = 1_000_000_000;
const weight = v.pipe(v.number(), v.minValue(0), v.maxValue(100));
const rate = v.pipe(v.number(), v.gtValue(0), v.maxValue(RATE_MAX));

const settings: v.GenericSchema<unknown, Backpressure> = v.strictObject({
  proportional: v.optional(weight, 1),
  integral: v.optional(weight, 0.2),
  derived: v.optional(weight, 0),
  minRate: v.optional(rate, 100),
  initialRate: v.exactOptional(rate),
});

export const backpressure: OptionKind<Backpressure | false> = {
  schema: v.union([
    v.literal(false),
    v.pipe(
      v.literal(true),
      v.transform(() => v.parse(settings, {})),
    ),
    settings,
  ]),
  expected:
    'true, false, or { proportional?, integral?, derived? (0 … 100), minRate?, initialRate? ' +
    '(records per second above 0) }',
  isSwitch: true,
};
