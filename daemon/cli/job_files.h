// What a job was handed out, put where its buildx finds it.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "common/result.h"
#include "daemon/cli/context.h"

namespace buildwarden::cli {

// ${BUILDX_CONFIG:-$DOCKER_CONFIG/buildx}, "" when neither is set.
std::string buildx_folder(const Context& context);

// Writes each {path, content} below `folder`: folders 0700, files 0600, each whole or absent. kDenied for a path that
// would leave the folder (absolute, with "..", or through a symbolic link): then nothing at all is written.
Result<void> write_job_files(const std::string& folder, const boost::json::array& files);

// The files with which no build is loaded into the engine: the same, with no instance's `default-load`.
boost::json::array without_default_load(boost::json::array files);

// One `export NAME='value'` line for each entry of the object `env`, but for `without`. A name that a shell would not
// take as a name, or a value with a NUL, is left out and reported.
std::string export_lines(const Context& context, const boost::json::value& env, std::string_view without);

}  // namespace buildwarden::cli
