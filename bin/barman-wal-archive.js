#!/usr/bin/env node
/**
 * Starts `barman-wal-archive`.
 */
import { fileURLToPath } from 'node:url'
import { start } from './start-barman.js'

await start('wal-archive', fileURLToPath(import.meta.url))
