import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type ConfTree, readConfTree } from '../../harness/conf-tree.ts'

/** Files by path; a directory is what paths say it is. */
async function readTree(files: Readonly<Record<string, string>>): Promise<ConfTree> {
  const reader = {
    readText: async (path: string) => files[path],
    list: async (path: string) => {
      const inside = Object.keys(files).filter((file) => file.startsWith(`${path}/`))
      return inside.length === 0 ? undefined : inside.map((file) => file.slice(path.length + 1))
    },
  }
  return readConfTree(reader, { configFile: '/etc/pg/postgresql.conf', dataDirectory: '/data' })
}

suite('configuration tree', () => {
  test('includes are read in place, relative to the file that names them', async () => {
    const tree = await readTree({
      '/etc/pg/postgresql.conf': "a = 1\ninclude 'sub/x.conf'\nb = 3\n",
      '/etc/pg/sub/x.conf': "a = 2\nb = 2\ninclude_if_exists '/abs/y.conf'\n",
      '/abs/y.conf': 'c = 4\n',
    })
    assert.deepEqual(
      [...tree.settings.values()].map(({ name, value, file, line }) => [name, value, file, line]),
      [
        ['a', '2', '/etc/pg/sub/x.conf', 1],
        ['b', '3', '/etc/pg/postgresql.conf', 3],
        ['c', '4', '/abs/y.conf', 1],
      ],
    )
    assert.deepEqual(tree.problems, [])
  })

  test('postgresql.auto.conf of the data directory wins over everything', async () => {
    const tree = await readTree({
      '/etc/pg/postgresql.conf': 'port = 1\n',
      '/data/postgresql.auto.conf': "port = '2'\n",
    })
    assert.equal(tree.settings.get('port')?.value, '2')
  })

  test('a directory gives its .conf files in order, hidden ones not', async () => {
    const tree = await readTree({
      '/etc/pg/postgresql.conf': "include_dir 'conf.d'\n",
      '/etc/pg/conf.d/20.conf': 'a = 20\n',
      '/etc/pg/conf.d/10.conf': 'a = 10\nb = 10\n',
      '/etc/pg/conf.d/.30.conf': 'a = 30\n',
      '/etc/pg/conf.d/40.conf.bak': 'a = 40\n',
    })
    assert.equal(tree.settings.get('a')?.value, '20')
    assert.equal(tree.settings.get('b')?.value, '10')
  })

  test('missing files, syntax errors and circles are problems with their place', async () => {
    const tree = await readTree({
      '/etc/pg/postgresql.conf': "include 'gone.conf'\nport = = 1\ninclude 'circle.conf'\n",
      '/etc/pg/circle.conf': "include 'circle.conf'\n",
    })
    assert.deepEqual(
      tree.problems.map(({ file, line, text }) => `${file}:${line}: ${text}`),
      [
        '/etc/pg/postgresql.conf:1: file "/etc/pg/gone.conf" is missing',
        '/etc/pg/postgresql.conf:2: syntax error at column 8',
        '/etc/pg/circle.conf:1: includes are nested deeper than 10',
      ],
    )
  })

  test('a missing directory is a problem', async () => {
    const tree = await readTree({ '/etc/pg/postgresql.conf': "include_dir 'conf.d'\n" })
    assert.match(tree.problems[0]?.text ?? '', /"\/etc\/pg\/conf\.d" is missing/)
  })
})
