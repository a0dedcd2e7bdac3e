// What is under way, for as long as a coroutine is at it, however it ends.
#pragma once

namespace buildwarden::seeds {

template <class Work>
class Busy {
 public:
  Busy(Work* where, Work what) : where_(where) { *where_ = what; }
  ~Busy() { *where_ = Work::kNone; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Work* where_;
};

}  // namespace buildwarden::seeds
