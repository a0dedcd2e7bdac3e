#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <utility>

#include "common/async_event.h"
#include "common/async_mutex.h"
#include "common/format.h"
#include "daemon/api/event_filter.h"
#include "daemon/api/json_text.h"
#include "daemon/api/json_views.h"
#include "daemon/api/problem.h"
#include "daemon/api/routes.h"

namespace buildwarden::api {
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

constexpr std::size_t kMostEvents = 1000;                                // in a list
constexpr auto kWholeJournal = std::numeric_limits<std::size_t>::max();  // of the journal's memory, which is bounded
constexpr Duration kSearchPatience = std::chrono::seconds{10};
constexpr std::size_t kBatch = 50;  // in a piece of the stream

// What one client follows. Nothing is kept for it but the number of the last event it took: one that is so slow that
// the journal forgets events before it has taken them is dropped.
class EventFollower final : public BodyStream {
 public:
  EventFollower(const ApiContext& context, std::uint64_t after, EventFilter filter, PeerQuota::Place place)
      : context_(context), filter_(std::move(filter)), place_(std::move(place)), last_(after) {
    following_ = context.subscribe([this] { recorded_.notify_all(); });
  }

  asio::awaitable<std::optional<std::string>> next() override {
    if (behind_) co_return std::nullopt;
    auto events = context_.events->since(last_, kBatch);
    if (events.empty()) {
      const bool rang = co_await recorded_.wait(context_.event_heartbeat);
      if (!rang) co_return ": heartbeat\n\n";
      events = context_.events->since(last_, kBatch);
    }
    co_return take(events);
  }

 private:
  std::string take(const std::vector<ports::RecordedEvent>& events) {
    const auto forgotten = context_.events->forgotten_id();
    if (!std::exchange(started_, true)) forgotten_before_ = forgotten;
    // The memory is no unbroken run of numbers: what was forgotten before the first look is not missing.
    behind_ = !events.empty() && last_ < forgotten && forgotten != forgotten_before_;
    if (behind_) return ": dropped: too slow, the journal has forgotten events in between\n\n";
    std::string text;
    for (const auto& event : events) {
      last_ = event.id;
      if (!filter_.takes(event)) continue;
      text += format("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.event.kind, json_text(event_json(event)));
    }
    return text.empty() ? ": nothing\n\n" : text;
  }

  const ApiContext& context_;
  EventFilter filter_;
  PeerQuota::Place place_;
  std::uint64_t last_;
  bool started_ = false;  // from then on nothing may be missing
  std::uint64_t forgotten_before_ = 0;
  bool behind_ = false;
  AsyncEvent recorded_;
  std::shared_ptr<void> following_;  // before the event goes
};

using Events = std::vector<ports::RecordedEvent>;

// What a list is asked for.
struct Page {
  std::uint64_t since = 0;
  std::uint64_t before = 0;  // 0: not asked for
  std::size_t limit = kMostEvents;
  EventFilter filter;
};

Result<Page> page_of(const Request& request) {
  constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
  const auto since = query_number(request, "since", 0, kLargest);
  if (!since) return since.error();
  const auto before = query_number(request, "before", 0, kLargest);
  if (!before) return before.error();
  const auto limit = query_number(request, "limit", kMostEvents, kMostEvents);
  if (!limit) return limit.error();
  const bool from_none = request.query.contains("before") && *before == 0;
  if (*limit == 0 || from_none) return Error(Errc::kInvalid, "before and limit must be at least 1");
  Page page;
  page.since = static_cast<std::uint64_t>(*since);
  page.before = static_cast<std::uint64_t>(*before);
  page.limit = static_cast<std::size_t>(*limit);
  auto filter = event_filter_of(request);
  if (!filter) return std::move(filter).error();
  page.filter = *std::move(filter);
  return page;
}

Response list(const ApiContext& context, const Events& some) {
  json::array events;
  for (const auto& event : some) events.push_back(event_json(event));
  json::object object;
  object["events"] = std::move(events);
  object["last_id"] = context.events->last_id();
  return json_response(object);
}

// Both oldest first; what is in both is taken once.
Events latest_of(const Events& stored, const Events& recent, std::size_t most) {
  const auto older = [](const auto& one, const auto& other) { return one.id < other.id; };
  Events all;
  std::set_union(recent.begin(), recent.end(), stored.begin(), stored.end(), std::back_inserter(all), older);
  if (all.size() > most) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(most));
  return all;
}

void keep_wanted(Events& events, const Page& page) {
  const auto unwanted = [&](const auto& event) {
    return event.id >= page.before || event.id <= page.since || !page.filter.takes(event);
  };
  std::erase_if(events, unwanted);
}

// Whether nothing older can be wanted than what a look into the database found.
bool is_over(const Events& found, const Page& page) {
  if (found.empty() || found.front().id <= page.since) return true;
  return page.filter.from && found.front().at < *page.filter.from;
}

// From the database, page by page, until `most` are found. It holds ten thousand events, so that is ten looks at most.
asio::awaitable<Result<Events>> stored_before(const ApiContext& context, const Page& page, std::size_t most) {
  Events wanted;
  auto before = page.before;
  const auto at_once = page.filter.is_set() ? kMostEvents : page.limit;
  while (wanted.size() < most) {
    auto found = co_await context.event_archive->events_before(before, at_once);
    if (!found) co_return std::move(found).error();
    const bool over = is_over(*found, page) || found->size() < at_once || !page.filter.is_set();
    if (!found->empty()) before = found->front().id;
    keep_wanted(*found, page);
    wanted.insert(wanted.begin(), std::make_move_iterator(found->begin()), std::make_move_iterator(found->end()));
    if (over) break;
  }
  co_return wanted;
}

// From memory where that goes back far enough, else from the database, too.
asio::awaitable<Response> list_before(const ApiContext& context, Page page) {
  auto recent = context.events->since(0, kWholeJournal);
  keep_wanted(recent, page);
  Events stored;
  if (recent.size() < page.limit) {
    auto found = co_await stored_before(context, page, page.limit);
    if (!found) co_return problem(found.error());
    stored = *std::move(found);
  }
  co_return list(context, latest_of(stored, recent, page.limit));
}

// After `since`; without it the latest.
Response list_after(const ApiContext& context, const Request& request, const Page& page) {
  if (!request.query.contains("since")) {
    return list(context, latest_of({}, context.events->since(0, kWholeJournal), page.limit));
  }
  if (!page.filter.is_set()) return list(context, context.events->since(page.since, page.limit));
  auto events = context.events->since(page.since, kWholeJournal);
  std::erase_if(events, [&](const auto& event) { return !page.filter.takes(event); });
  if (events.size() > page.limit) events.erase(events.begin() + static_cast<std::ptrdiff_t>(page.limit), events.end());
  return list(context, events);
}

// Where a follower goes on: at its Last-Event-ID after a broken connection, else at ?since=, else at what comes now.
Result<std::uint64_t> start_of(const Request& request, const ApiContext& context) {
  Request asked;
  asked.query = request.query;
  const auto last = request.header("Last-Event-ID");
  if (!last.empty()) asked.query["since"] = std::string(last);
  const auto now = static_cast<std::int64_t>(context.events->last_id());
  auto since = query_number(asked, "since", now, std::numeric_limits<std::int64_t>::max());
  if (!since) return std::move(since).error();
  return static_cast<std::uint64_t>(*since);
}

Response follow(const ApiContext& context, PeerQuota& followers, const Request& request) {
  const auto after = start_of(request, context);
  if (!after) return problem(after.error(), "bad_parameter");
  auto filter = event_filter_of(request);
  if (!filter) return problem(filter.error(), "bad_parameter");
  auto place = followers.take(request.from);
  if (!place) {
    return problem(503, "too_many_followers", "as many clients as may are following the events; try again");
  }
  Response response;
  response.content_type = "text/event-stream";
  response.stream = std::make_shared<EventFollower>(context, *after, *std::move(filter), *std::move(place));
  return response;
}

struct Readers {
  explicit Readers(const QuotaLimits& limits) : followers(limits) {}
  PeerQuota followers;
  AsyncMutex search;  // each reads up to the whole database, on the thread that also saves
};

asio::awaitable<Response> search(const ApiContext& context, std::shared_ptr<Readers> readers, Page page) {
  const auto guard = co_await readers->search.lock(kSearchPatience);
  if (!guard) co_return problem(503, "too_many_searches", "others look for events in the database; try again");
  co_return co_await list_before(context, std::move(page));
}

asio::awaitable<Response> events(const ApiContext& context, std::shared_ptr<Readers> readers, Request request) {
  const bool follows = request.accepts("text/event-stream") && request.method == "GET";
  if (follows) co_return follow(context, readers->followers, request);
  auto page = page_of(request);
  if (!page) co_return problem(page.error(), "bad_parameter");
  // What is looked for may lie further back than memory does.
  const bool searches = page->filter.is_set() && page->before == 0 && !request.query.contains("since");
  if (searches) page->before = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (page->before > 0 && page->filter.is_set()) co_return co_await search(context, readers, *std::move(page));
  if (page->before > 0) co_return co_await list_before(context, *std::move(page));
  co_return list_after(context, request, *page);
}

}  // namespace

void add_event_routes(Router& router, const ApiContext& context, const QuotaLimits& limits) {
  const auto readers = std::make_shared<Readers>(limits);
  router.add("GET", "/v1/events?since,before,limit,kind,severity,from",
             [&context, readers](Request request) { return events(context, readers, std::move(request)); });
}

}  // namespace buildwarden::api
