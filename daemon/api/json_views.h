// The rooms' views as the API shows them. Times are RFC 3339 UTC, sizes bytes, durations seconds; what is not known is
// null.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>

#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/emulation.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/health.h"
#include "daemon/ports/instance.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/prefetch.h"
#include "daemon/ports/worth.h"

namespace buildwarden::api {

boost::json::array filesystems_json(const std::vector<ports::FilesystemSnapshot>& filesystems);
boost::json::object image_store_json(const ports::ImageStoreView& store);
boost::json::array refused_roots_json(const std::vector<ports::RefusedRoot>& roots);
boost::json::array users_json(const std::vector<ports::DiskUser>& users);
// `emulators` tell what the kernel runs; what a builder builds for beyond that it must emulate itself.
boost::json::object builder_json(const ports::BuilderView& builder, const ports::EmulatorsView& emulators);
boost::json::array builders_json(const ports::BuildersView& view, const ports::EmulatorsView& emulators);
boost::json::array emulators_json(const ports::EmulatorsView& view);
// The builder that the engine has in itself: plain `docker build`.
boost::json::object engine_builder_json(const ports::EngineStatus& engine);
boost::json::object recreated_json(const std::string& builder, const ports::Recreated& made);
// Expiry is on the boot clock; `now` turns it into a time of day.
boost::json::array jobs_json(const ports::JobsView& view, Now now);
// verdict `run`: the whole body of 200 and 201.
boost::json::object job_answer_json(const ports::JobAnswer& answer);
boost::json::object engine_json(const ports::EngineStatus& status);
boost::json::object savings_json(const ports::SavingsView& view);
boost::json::object prefetch_json(const ports::PrefetchView& view);
boost::json::object termination_json(const ports::TerminationView& view);
// What page, status and /readyz say alike; see attention.h.
boost::json::array attention_json(const ports::DiskView& view);
boost::json::array not_ready_json(const std::vector<ports::NotReady>& parts);
boost::json::object space_json(const ports::SpaceResult& result, bool dry_run);
boost::json::object event_json(const ports::RecordedEvent& recorded);

// Whole seconds as a whole number.
boost::json::value seconds_json(Duration duration);

}  // namespace buildwarden::api
