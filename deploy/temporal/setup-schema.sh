#!/bin/sh
# Creates Temporal's databases and brings their schemas up to date. Each command may be repeated: an existing database is left
# alone, a schema is moved only forward. Where to connect is in SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD.
set -eu

schemas=/etc/temporal/schema/postgresql/v12

set_up() {
  database=$1
  versions=$2
  temporal-sql-tool --db "$database" create
  temporal-sql-tool --db "$database" setup-schema -v 0.0
  temporal-sql-tool --db "$database" update-schema -d "$versions"
}

set_up temporal "$schemas/temporal/versioned"
set_up temporal_visibility "$schemas/visibility/versioned"
