/**
 * The one form of mail address this server takes: a dot-atom and a host name (RFC 5322 section 3.4.1 without its
 * quoted strings, comments and literals). Whatever a mail library could read as a list, a display name or a route
 * is refused here, so an address is never more than one recipient.
 */
const MAX_BYTES = 254
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
const ADDR_SPEC = new RegExp(`^(?=[^@]{1,64}@)${ATOM}(?:\\.${ATOM})*@${LABEL}(?:\\.${LABEL})*$`)

/** Whether a value is a mail address of the accepted form. Internationalised hosts are written in their xn-- form. */
export const isMailAddress = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= MAX_BYTES && ADDR_SPEC.test(value)

/** The part before the @. */
export const localPart = (address: string): string => address.slice(0, address.lastIndexOf('@'))
