// What the sink remembers of a lane from one shipment to the next.
export class ElasticLane {
  readonly key: string
  /** Failures since the last success. */
  attempts = 0
  /** It was held up while others were not: it goes alone until it succeeds. */
  solo = false
  /** Records whose dead letters are written while their segment is not settled yet. */
  readonly buried = new Set<string>()

  constructor(key: string) {
    this.key = key
  }
}
