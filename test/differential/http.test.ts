// HTTP clients, case by case, against squid, tinyproxy and Sightline.
import { describeTables } from './table.ts'
import { HTTP_TABLES } from './tables.ts'

describeTables(HTTP_TABLES)
