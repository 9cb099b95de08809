import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { absentMount } from '../../../src/repository/absent-disk.ts'

const FSTAB = `# <file system> <mount point> <type>
UUID=1 / ext4 defaults 0 1
UUID=2\t/srv ext4 defaults 0 2
UUID=3 /srv/back\\040up/ xfs noauto 0 2
UUID=4 none swap sw 0 0
#UUID=5 /var ext4 defaults 0 2
`
const MOUNTS = `/dev/vda1 / ext4 rw 0 0\n/dev/vdb /srv ext4 rw 0 0\n`

describe('absentMount', () => {
  for (const [path, expected] of [
    ['/srv/back up', '/srv/back up'],
    ['/srv/back up/shop/backstay', '/srv/back up'],
    ['/srv/back upper', undefined],
    ['/srv/other', undefined],
    ['/var/lib/barman', undefined],
    ['/', undefined],
  ] as const) {
    it(`says of ${path}: ${expected ?? 'nothing is missing'}`, () => {
      assert.equal(absentMount(path, { fstab: FSTAB, mounts: MOUNTS }), expected)
    })
  }

  it('takes a mount point as it is mounted, blanks too', () => {
    const mounts = `${MOUNTS}/dev/vdc /srv/back\\040up xfs rw 0 0\n`
    assert.equal(absentMount('/srv/back up/shop', { fstab: FSTAB, mounts }), undefined)
  })

  it('asks for the innermost one only', () => {
    const mounts = '/dev/vdc /srv/back\\040up xfs rw 0 0\n'
    assert.equal(absentMount('/srv/back up/shop', { fstab: FSTAB, mounts }), undefined)
    assert.equal(absentMount('/srv/shop', { fstab: FSTAB, mounts }), '/srv')
  })
})
