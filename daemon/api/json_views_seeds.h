// Seeds as the API shows them.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "daemon/ports/seeds.h"

namespace buildwarden::api {

// `now` tells how old they are.
boost::json::object seeds_json(const ports::SeedsView& view);
boost::json::object seed_done_json(const std::string& builder, const ports::SeedDone& done);

}  // namespace buildwarden::api
