#include "daemon/telemetry/sensor_families.h"

#include <chrono>
#include <utility>

#include "daemon/telemetry/family.h"

namespace buildwarden::telemetry {
namespace {

void append(SensorRows& rows, std::string sensor, std::string target, const ports::SensorRecord& record) {
  if (record.readings > 0) rows.push_back({std::move(sensor), std::move(target), record});
}

}  // namespace

void append_sensors(SensorRows& rows, const ports::DiskView& view) {
  for (const auto& disk : view.filesystems) {
    ports::SensorRecord record;
    record.good = disk.reading && disk.error.empty();
    record.took = disk.last_duration;
    if (disk.reading) record.last_good = disk.reading->at.wall;
    record.readings = disk.readings;
    record.failures = disk.failures;
    rows.push_back({"disk", disk.mount, record});
  }
}

void append_sensors(SensorRows& rows, const ports::BuildersView& view) {
  for (const auto& builder : view.builders) append(rows, "builder", builder.name, builder.questions);
}

void append_sensors(SensorRows& rows, const ports::EmulatorsView& view) {
  append(rows, "emulation", "handlers", view.comparisons);
  append(rows, "emulation", "programs", view.executions);
}

void append_sensors(SensorRows& rows, const ports::EngineStatus& status) {
  append(rows, "engine", "ping", status.pings);
}

void add_sensors(Families& families, const SensorRows& rows) {
  auto good = gauges("sensor_success", "Whether the sensor's last reading was good.");
  auto took = gauges("sensor_duration_seconds", "How long the sensor's last reading took, in seconds.");
  auto last = gauges("sensor_last_success_timestamp_seconds", "When the sensor last read well, in seconds since 1970.");
  auto readings = counters("sensor_readings_total", "Readings of the sensor, failed ones included.");
  auto failures = counters("sensor_failures_total", "Readings of the sensor that failed.");
  for (const auto& [sensor, target, record] : rows) {
    const Labels labels = {{"sensor", sensor}, {"target", target}};
    add(good, labels, record.good ? 1 : 0);
    add(took, labels, record.took.count());
    if (record.last_good) {
      add(last, labels, std::chrono::duration<double>(record.last_good->time_since_epoch()).count());
    }
    add(readings, labels, record.readings);
    add(failures, labels, record.failures);
  }
  keep(families, {&good, &took, &last, &readings, &failures});
}

}  // namespace buildwarden::telemetry
