// The sensors of all rooms as metric families: what was read when, and whether that was good.
#pragma once

#include <string>
#include <vector>

#include "daemon/ports/sensor.h"
#include "daemon/telemetry/families.h"

namespace buildwarden::telemetry {

struct SensorRow {
  std::string sensor;  // "disk", "engine", "builder", "emulation"
  std::string target;  // which of them: a mount point, a builder's name, …
  ports::SensorRecord record;
};
using SensorRows = std::vector<SensorRow>;

// Those that have read at least once; of filesystems all.
void append_sensors(SensorRows& rows, const ports::DiskView& view);
void append_sensors(SensorRows& rows, const ports::BuildersView& view);
void append_sensors(SensorRows& rows, const ports::EmulatorsView& view);
void append_sensors(SensorRows& rows, const ports::EngineStatus& status);

void add_sensors(Families& families, const SensorRows& rows);

}  // namespace buildwarden::telemetry
