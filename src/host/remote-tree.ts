/**
 * What is known of a tree on the other side without looking again: directories, links and files
 * that were there, and what was added. Decides what must be made and what is refused. Pure.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { treePathParts } from './tree-path.ts'

/** Which entries a path needs before it can be written. */
export interface TreePlace {
  /** Directories to make first, from the top down. */
  readonly missingParents: readonly string[]
  /** The path without `.` parts; `.` for the tree itself. */
  readonly path: string
  /** A directory that was there when the tree was opened. */
  readonly wasThere: boolean
}

/** The names of one tree. */
export class RemoteTree {
  readonly #directory: string
  readonly #existing = new Set<string>(['.'])
  readonly #made = new Set<string>()
  /** Links, files and other things that nothing can be written through or over. */
  readonly #taken = new Map<string, string>()

  /**
   * `found` is what `find -printf '%y%P\\0'` printed, item by item: a letter for the kind, then the
   * relative path.
   */
  constructor(directory: string, found: readonly string[]) {
    this.#directory = directory
    for (const item of found) {
      const [kind, path] = [item.slice(0, 1), item.slice(1)]
      if (kind === 'd') this.#existing.add(path)
      else if (path !== '') this.#taken.set(path, kind === 'l' ? 'link' : 'file')
    }
  }

  /**
   * Where a file or link goes.
   * @throws FAILED when something is there, or the way leads through a link or file.
   */
  placeFile(path: string): TreePlace {
    const parts = treePathParts(path)
    const name = parts.join('/')
    if (parts.length === 0 || this.#taken.has(name) || this.#hasDirectory(name)) {
      throw this.#refusal(path, 'it is there already')
    }
    return { missingParents: this.#parentsOf(parts), path: name, wasThere: false }
  }

  /**
   * Where a directory goes, or is.
   * @throws FAILED when it is something else, or the way leads through a link or file.
   */
  placeDirectory(path: string): TreePlace {
    const parts = treePathParts(path)
    const name = parts.length === 0 ? '.' : parts.join('/')
    const taken = this.#taken.get(name)
    if (taken !== undefined) throw this.#refusal(path, `it is a ${taken}`)
    const missingParents = this.#parentsOf(parts)
    this.#made.add(name)
    return { missingParents, path: name, wasThere: this.#existing.has(name) }
  }

  /** Remembers a link that was made. */
  addLink(path: string): void {
    this.#taken.set(path, 'link')
  }

  #parentsOf(parts: readonly string[]): readonly string[] {
    const missing: string[] = []
    for (let length = 1; length < parts.length; length++) {
      const parent = parts.slice(0, length).join('/')
      if (this.#hasDirectory(parent)) continue
      const taken = this.#taken.get(parent)
      if (taken !== undefined) throw this.#refusal(parts.join('/'), `"${parent}" is a ${taken}`)
      this.#made.add(parent)
      missing.push(parent)
    }
    return missing
  }

  #hasDirectory(path: string): boolean {
    return this.#existing.has(path) || this.#made.has(path)
  }

  #refusal(path: string, why: string): BackstayError {
    return new BackstayError('FAILED', `Cannot write "${path}" in "${this.#directory}": ${why}`, {
      details: { directory: this.#directory, path },
    })
  }
}
