import { expect } from 'chai'
import { isUuid, opaqueId, uuidv7 } from '../src/ids.ts'

describe('ids', () => {
  it('of version 7 are unique and sort as they were made, also thousands within one millisecond', () => {
    const now = Date.now() + 60_000
    const ids = Array.from({ length: 10_000 }, () => uuidv7(now))
    expect(ids.every(isUuid)).to.equal(true)
    expect(new Set(ids).size).to.equal(ids.length)
    expect([...ids].sort()).to.deep.equal(ids)
    expect(ids[0]?.[14]).to.equal('7')
  })

  it('of version 7 begin with the time', () => {
    const later = Date.now() + 3_600_000
    const id = uuidv7(later).replaceAll('-', '')
    expect(Number.parseInt(id.slice(0, 12), 16)).to.equal(later)
  })

  it('that are opaque are never the same, of whatever length, also beyond the bytes that are drawn at once', () => {
    const ids = Array.from({ length: 20_000 }, (_, place) => opaqueId([64, 128, 256][place % 3]))
    expect(new Set(ids).size).to.equal(ids.length)
    const zeros = ids.filter((id) => /A{11}/.test(id))
    expect(zeros, 'of bytes that had been wiped').to.deep.equal([])
    expect(Buffer.from(opaqueId(8 * 5_000), 'base64url')).to.have.length(5_000)
  })

  it('that are opaque have the strength asked for', () => {
    expect(Buffer.from(opaqueId(128), 'base64url')).to.have.length(16)
    expect(opaqueId()).to.have.length(43).and.not.equal(opaqueId())
  })
})
