// The routes, by room. What is given to them outlives the router.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string_view>

#include "daemon/api/chart_events.h"
#include "daemon/api/context.h"
#include "daemon/api/disk_plans.h"
#include "daemon/api/fields.h"
#include "daemon/api/operations.h"
#include "daemon/api/peer_quota.h"
#include "daemon/api/router.h"
#include "daemon/api/space_history.h"

namespace buildwarden::api {

// What the page shows beside the rooms' views.
struct PageSources {
  const SpaceHistory& history;
  ChartEvents& chart_events;
  DiskPlans& plans;
};

// /healthz /readyz /metrics /openapi.json /v1/status /v1/config
void add_state_routes(Router& router, const ApiContext& context);
// / for people
void add_page_route(Router& router, const ApiContext& context, const PageSources& sources);
// /v1/builders and the recreation of one
void add_builder_routes(Router& router, const ApiContext& context, Operations& operations);
// /v1/seeds, and the saving and restoring of one
void add_seed_routes(Router& router, const ApiContext& context, Operations& operations);
// /v1/emulators and their execution
void add_emulator_routes(Router& router, const ApiContext& context, Operations& operations);
// /v1/disk and its reclaim
void add_disk_routes(Router& router, const ApiContext& context, Operations& operations, DiskPlans& plans);
// /v1/jobs
void add_job_routes(Router& router, const ApiContext& context, Operations& operations);
// /v1/events, as a list and as a stream
void add_event_routes(Router& router, const ApiContext& context, const QuotaLimits& followers);
// /v1/operations/{id}
void add_operation_routes(Router& router, Operations& operations);

// What the routes share.
Response json_response(const boost::json::value& body, int status = 200);

// 400 that names every field and what is wrong with it.
Response bad_fields(const std::vector<FieldReader::Mistake>& mistakes);

// A whole number from the query within [0, most]; `absent` without it; kInvalid by name.
Result<std::int64_t> query_number(const Request& request, const std::string& name, std::int64_t absent,
                                  std::int64_t most);

}  // namespace buildwarden::api
