import { expect } from 'chai'
import { tell } from '../../src/cli/failure.ts'

describe('a failed command', () => {
  it('says which folder may not be written and what to do, in one line', () => {
    // Made by hand: whoever runs the tests as root is refused nothing.
    const refused = Object.assign(new Error("EACCES: permission denied, mkdir '/srv/keys'"), {
      code: 'EACCES',
      path: '/srv/keys',
    })
    expect(tell(refused)).to.deep.equal({
      exitCode: 1,
      lines: [
        '/srv/keys: permission denied. Make it writable, or choose other folders with USHER_DATA_DIR and USHER_KEYS_DIR',
      ],
    })
  })
})
