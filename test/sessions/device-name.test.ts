import { expect } from 'chai'
import { deviceOf } from '../../src/sessions/device-name.ts'

const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36'
const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.2 Mobile/15E148 Safari/604.1'

describe('device names', () => {
  it('name the browser with its release, and the system', () => {
    expect(deviceOf(CHROME)).to.deep.equal({ browser: 'Chrome 156', system: 'Windows 10' })
    expect(deviceOf(SAFARI)).to.deep.equal({ browser: 'Safari 18', system: 'iOS 18.2' })
  })

  it('name other programs as they name themselves', () => {
    expect(deviceOf('curl/8.11.0')).to.deep.equal({ browser: 'curl 8', system: undefined })
    expect(deviceOf('node')).to.deep.equal({ browser: 'node', system: undefined })
  })

  it('say nothing where nothing is known', () => {
    for (const text of ['', '()', '/1', '<script>']) {
      expect(deviceOf(text), text).to.deep.equal({ browser: undefined, system: undefined })
    }
  })
})
