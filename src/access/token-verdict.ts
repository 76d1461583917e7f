/** What is true of an access token. `bound` is one that is good only with a proof of its key (RFC 9449). */
export type TokenVerdict = 'valid' | 'expired' | 'revoked' | 'unverifiable' | 'bound'
