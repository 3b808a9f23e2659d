// SOCKS clients, case by case, against Dante, microsocks and Sightline.
import { describeTables } from './table.ts'
import { SOCKS_TABLES } from './tables.ts'

describeTables(SOCKS_TABLES)
