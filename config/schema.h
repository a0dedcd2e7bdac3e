// Every key of the configuration, once.
#pragma once

#include "config/field.h"
#include "config/settings.h"

namespace buildwarden::config {

const Table<Settings>& settings_table();
const Table<BuilderSettings>& builder_table();  // below builders[N]

}  // namespace buildwarden::config
