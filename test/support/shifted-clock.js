/** Loaded before a server (`--import`): its clock is wrong by CLOCK_OFFSET_MS. The steady clock and timers are not. */
const offsetMs = Number(process.env.CLOCK_OFFSET_MS ?? 0)
const RealDate = Date

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + offsetMs)
    else super(...given)
  }

  static now() {
    return RealDate.now() + offsetMs
  }
}
