#include <algorithm>
#include <utility>

#include "daemon/api/page.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace {

// The latest ones. Their numbers mostly follow one another; where they jump, all that is remembered is looked through.
std::vector<ports::RecordedEvent> latest_events(const ports::EventSource& source) {
  const auto last = source.last_id();
  auto events = source.since(last > kEventsOnPage ? last - kEventsOnPage : 0, kEventsOnPage);
  if (events.size() == kEventsOnPage || last <= kEventsOnPage) return events;
  constexpr std::size_t kAll = 1000;
  events = source.since(0, kAll);
  const auto more = events.size() > kEventsOnPage ? events.size() - kEventsOnPage : 0;
  events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(more));
  return events;
}

PageFacts facts_of(const ApiContext& context, const PageSources& sources, const Now& started) {
  PageFacts facts;
  facts.now = context.clock->now();
  facts.started = started;
  facts.host = context.host_name;
  facts.version = context.version;
  facts.dry_run = context.dry_run();
  facts.not_ready = context.readiness();
  facts.config = context.config->config_view();
  facts.engine = context.engine->status();
  facts.disk = context.disk->disk_view();
  for (const auto& disk : facts.disk.filesystems) facts.history.push_back(sources.history.of(disk));
  facts.builders = context.builders->builders_view();
  facts.emulators = context.emulators->emulators_view();
  facts.jobs = context.jobs->jobs_view();
  facts.termination = context.termination->termination_view();
  facts.prefetch = context.prefetch->prefetch_view();
  facts.seeds = context.seeds->seeds_view();
  facts.savings = context.savings->savings_view();
  sources.chart_events.look(*context.events, facts.now.wall);
  facts.chart_events = sources.chart_events.all();
  sources.plans.want();
  facts.plan = sources.plans.last();
  facts.events = latest_events(*context.events);
  facts.journal_error = context.events->error();
  return facts;
}

Response page(const ApiContext& context, const PageSources& sources, const Now& started) {
  Response response;
  response.content_type = "text/html; charset=utf-8";
  response.headers = {{"Content-Security-Policy", page_policy()},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Opener-Policy", "same-origin"}};
  response.body = render_page(facts_of(context, sources, started));
  return response;
}

}  // namespace

void add_page_route(Router& router, const ApiContext& context, const PageSources& sources) {
  const Now started = context.clock->now();
  router.add_direct("GET", "/",
                    [&context, sources, started](const Request&) { return page(context, sources, started); });
}

}  // namespace buildwarden::api
