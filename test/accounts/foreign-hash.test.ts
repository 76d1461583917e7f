import { expect } from 'chai'
import { createHashPool, type HashPool } from '../../src/accounts/hash-pool.ts'
import { isAcceptableHash, verifyPassword } from '../../src/accounts/password-hash.ts'

/** Of which every fixture was made. */
const PASSWORD = 'correct horse bättery'

/** By the library that made it, with its default cost unless the hash says otherwise. */
const FIXTURES: Record<string, string> = {
  'bcrypt 5.0.0, $2b$': '$2b$10$qwDP5fRvWRO3ALJ1tx/X6.M4QsMiir2LjsTv5tIj.LO4HhC3zWeK2',
  'bcrypt 5.0.0, $2a$': '$2a$10$IWdlqYPdw2SU1OMn0TonROhP55pTqoZfrF7L1HmJDJw0jNiPcFClG',
  'passlib 1.7.4 over bcrypt 4.0.1, $2y$': '$2y$10$jlOdzza00WnueWPnhU8PWu4ZA1GtdMezk1x4Qc7INI9pTyVRCUz72',
  'Django 5.2.19, bcrypt': 'bcrypt$$2b$12$8O3jIsZpawOekzFqHi3Uu.ZR4SJ1WV3NJDsoa1jiMRjgyz21wZXB.',
  'Django 5.2.19, bcrypt_sha256': 'bcrypt_sha256$$2b$12$L3yi46v1PvCnmxTcKjOmuu0GcuD80dElaQ5AkvWkFOAH8j.G/zQvC',
  'Django 5.2.19, pbkdf2_sha256':
    'pbkdf2_sha256$1000000$333q4O1eT7jWtYehW24uJr$smlmHHwtUrc71wXmU8UQuuIKDr09CwnlWnrbBi5T+Cc=',
  'Django 5.2.19, pbkdf2_sha1': 'pbkdf2_sha1$1000000$T0gtOmDubBAAhRU64L9JA4$B4tzlw6VBNxpf/uPOiVuwTrQ03c=',
  'Django 5.2.19, scrypt':
    'scrypt$16384$noYvT4eRKWzd1P76fEl5UO$8$5$BIyxQ1F+dPOOzo2JWERz6vkDXTK98nLRi1Ru2dEyR2Zg5/7U6FKsZM926MFX62C+fzp1Lx5xX0iSajtYBzQ36A==',
  'Django 5.2.19, argon2':
    'argon2$argon2id$v=19$m=102400,t=2,p=8$cFlCUmpKbXl6SU9sWkZZVG8ycTlPMg$KP9IOxWfvcm5iIn0NRd3+lttb7/YAlIMawT1/8f+0Y8',
  'Werkzeug 3.1.9, pbkdf2':
    'pbkdf2:sha256:1000000$xiJ0iaCKvfmKWr4F$d8c86e4c8ae00f9368a808defab138103f1dbe2e28cb9bd737bf35d1fdbcedb6',
  'Werkzeug 3.1.9, pbkdf2:sha512':
    'pbkdf2:sha512:210000$rZSc4cLQrwKtuP6z$f8c909b16e9d1c0f31eb35843463278599943fd3d8a9f7af78b33175e28be366b57c1a09f49c37b9c25483fc4c6fffc9299b21c2fd4daadfb2c822563fc29f02',
  'Werkzeug 3.1.9, scrypt':
    'scrypt:32768:8:1$yKPdnQuxfTbm8Fsh$08c367e4831d212a7df161e92e6e6ad3188da1760eab7ec8d6c8b3c1d5001da1b91350fff619b619bb68d2fa6e59b2f14ad4d6bb4fd23ad43024b4c2bf923c01',
  'passlib 1.7.4, pbkdf2_sha256':
    '$pbkdf2-sha256$29000$b43RuhcipBQCwJhzzhkjxA$tPqGCPxPuFcMn3E.hYOphPNvUpKgN1b1YeTERIKmxuo',
  'passlib 1.7.4, pbkdf2_sha512':
    '$pbkdf2-sha512$25000$Wut9T0lpjXEOQeid01qrdQ$USm7aKnQtTJLDebgX9G7aypjIgNGM2vSSaamwUV32ZuSu5bNxi6nH7sRSJMIRqKZSYpeu3A9UAzRGg2g6jSmkA',
  'passlib 1.7.4, pbkdf2_sha1': '$pbkdf2$131000$dw4h5FwrZWwNIcTYWytlbA$eqoOTaw/HiCAyoPaax5yOdXxGg8',
  'passlib 1.7.4, scrypt': '$scrypt$ln=16,r=8,p=1$bg1hbM35P+dcy7lXai3FeA$GXxETOOzVEVMwDJq1GoFudat27yfqG/AYikcrk+NQFg',
  'passlib 1.7.4 over argon2-cffi 25.1.0, argon2id':
    '$argon2id$v=19$m=65536,t=3,p=4$bM25VyolxBhjbA1hDIEwBg$t1/DBDoJI7BNcSmK5IRR2r/ZL0hx2uoVvgC6z3y0hnI',
  'argon2-cffi 25.1.0, argon2i':
    '$argon2i$v=19$m=65536,t=3,p=4$RWEbSWixfh2w5OxrcFTuUA$RwRxzRtNHIOCBTSkYLtHSu245wktJe5vzGSMPQMV9Pw',
  'argon2-cffi 25.1.0, argon2id':
    '$argon2id$v=19$m=65536,t=3,p=4$GCPT+B08m21gPF+HL+5NPQ$j55xP4qaUHHscy64Wix1PhIlJxavZKSuROW53vJMKg0',
}

describe('a hash made elsewhere', function () {
  this.timeout(30_000)
  let pool: HashPool
  before(() => {
    pool = createHashPool()
  })
  after(() => pool.close())

  for (const [library, hash] of Object.entries(FIXTURES)) {
    it(`by ${library}, is accepted, matches its password only and is due for a new one`, async () => {
      expect(isAcceptableHash(hash)).to.equal(true)
      expect(await pool.verify(hash, PASSWORD)).to.deep.equal({ matches: true, needsRehash: true })
      expect(await pool.verify(hash, PASSWORD.toUpperCase())).to.deep.equal({ matches: false, needsRehash: false })
    })
  }

  it('was made over the bytes as typed, however they are composed', async () => {
    // passlib 1.7.4, pbkdf2_sha256 over the decomposed form of the password.
    const decomposed = '$pbkdf2-sha256$29000$Q0jJ2RujtDYmpJSScs5Z6w$fsiBK1e63dwKP0KfGcVmROaM/04ncEsLoTBhfYIqOt4'
    expect((await pool.verify(decomposed, PASSWORD.normalize('NFD'))).matches).to.equal(true)
    expect((await pool.verify(decomposed, PASSWORD.normalize('NFC'))).matches).to.equal(false)
  })

  it('by bcrypt covers 72 bytes, until it is replaced', async () => {
    // passlib 1.7.4 over bcrypt 4.0.1, of 40 letters of two bytes each.
    const hash = '$2b$10$wuWPdnRaC5uM6sZwLmqJZOg2g/FIItMRFqpOkEgcMsLiUuFH4cZ7q'
    expect((await pool.verify(hash, 'é'.repeat(40))).matches).to.equal(true)
    expect((await pool.verify(hash, 'é'.repeat(36))).matches).to.equal(true)
    expect((await pool.verify(hash, 'é'.repeat(35))).matches).to.equal(false)
  })

  const KEY_HEX = 'ab'.repeat(32)
  const UNBEARABLE: Record<string, string> = {
    'bcrypt of an hour': '$2b$24$qwDP5fRvWRO3ALJ1tx/X6.M4QsMiir2LjsTv5tIj.LO4HhC3zWeK2',
    'bcrypt of an unknown kind': '$2x$10$qwDP5fRvWRO3ALJ1tx/X6.M4QsMiir2LjsTv5tIj.LO4HhC3zWeK2',
    'bcrypt cut short': '$2b$10$qwDP5fRvWRO3ALJ1tx/X6.M4QsMiir2LjsTv5tIj.LO4HhC3zWeK',
    'Django’s PBKDF2 of minutes': 'pbkdf2_sha256$900000000$salt$smlmHHwtUrc71wXmU8UQuuIKDr09CwnlWnrbBi5T+Cc=',
    'PBKDF2 without a round': `pbkdf2:sha256:0$salt$${KEY_HEX}`,
    'PBKDF2 of another digest': `pbkdf2:md5:1000$salt$${KEY_HEX}`,
    'PBKDF2 of minutes': `pbkdf2:sha256:900000000$salt$${KEY_HEX}`,
    'PBKDF2 with a key nobody need guess': '$pbkdf2-sha256$29000$b43RuhcipBQCwJhzzhkjxA$tPqG',
    'scrypt of gigabytes': `scrypt:8388608:8:1$salt$${KEY_HEX}`,
    'scrypt of minutes': `scrypt:32768:8:999$salt$${KEY_HEX}`,
    'scrypt of no power of two': `scrypt:32767:8:1$salt$${KEY_HEX}`,
    'scrypt of N 1': `scrypt:1:8:1$salt$${KEY_HEX}`,
    'scrypt of a huge logarithm':
      '$scrypt$ln=99,r=8,p=1$bg1hbM35P+dcy7lXai3FeA$GXxETOOzVEVMwDJq1GoFudat27yfqG/AYikcrk+NQFg',
    'a plain digest': `sha256$salt$${KEY_HEX}`,
    'a password': PASSWORD,
  }
  for (const [what, hash] of Object.entries(UNBEARABLE)) {
    it(`is neither accepted nor computed when it is ${what}`, () => {
      expect(isAcceptableHash(hash)).to.equal(false)
      expect(verifyPassword(hash, PASSWORD)).to.deep.equal({ matches: false, needsRehash: false })
    })
  }
})
