/** No later attempt can succeed: the address does not exist, or the message would reach somebody else. */
export class Undeliverable extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'Undeliverable'
  }
}
