// Rows of logits, in parallel.
#include "generate/logits_reader.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "capstan/core/error.h"

namespace capstan::search {
namespace {

// Below this many numbers for a thread more threads are no faster.
constexpr std::int64_t kNumbersPerThread = 32768;

}  // namespace

at::Tensor LogitsReader::on_host(const at::Tensor& logits_RV) {
  if (logits_RV.device().is_cpu()) return logits_RV;
  if (!host_RV_.defined() || host_RV_.size(0) < logits_RV.size(0))
    host_RV_ = at::empty(logits_RV.sizes(), logits_RV.options().device(at::kCPU).pinned_memory(true));
  at::Tensor rows = host_RV_.narrow(0, 0, logits_RV.size(0));
  rows.copy_(logits_RV);
  return rows;
}

void LogitsReader::read_best(const at::Tensor& logits_RV) {
  const auto count = static_cast<std::int64_t>(plan_.num_best());
  const auto [scores_RK, ids_RK] = logits_RV.topk(count, -1);
  const at::Tensor max_R1 = scores_RK.narrow(1, 0, 1);
  const at::Tensor log_sum_R1 = (logits_RV - max_R1).exp_().sum(-1, /*keepdim=*/true).log_();
  const at::Tensor numbers = at::cat({scores_RK, log_sum_R1}, 1).cpu().contiguous();
  const at::Tensor ids = ids_RK.to(at::kCPU, at::kInt).contiguous();
  for (std::size_t row = 0; row < outcomes_.size(); ++row) {
    RowOutcome& outcome = outcomes_[row];
    const float* const scores = numbers.const_data_ptr<float>() + row * static_cast<std::size_t>(count + 1);
    const int* const row_ids = ids.const_data_ptr<int>() + row * static_cast<std::size_t>(count);
    outcome.best.clear();
    for (std::int64_t i = 0; i < count; ++i) outcome.best.push_back({scores[i], row_ids[i]});
    outcome.max = scores[0];
    outcome.log_sum = scores[count];
    plan_.outcome_of_best(outcome);
  }
}

std::span<RowOutcome> LogitsReader::read(const at::Tensor& logits_RV,
                                         const std::function<std::span<const std::int64_t>(std::int64_t)>& ids_of) {
  CAPSTAN_ASSERT(logits_RV.dim() == 2 && logits_RV.scalar_type() == at::kFloat);
  const std::int64_t num_rows = logits_RV.size(0), width = logits_RV.size(1);
  outcomes_.resize(static_cast<std::size_t>(num_rows));
  if (!logits_RV.device().is_cpu() && !plan_.needs_whole_rows()) {
    read_best(logits_RV);
    return outcomes_;
  }
  const at::Tensor rows_RV = on_host(logits_RV);
  CAPSTAN_ASSERT(rows_RV.is_contiguous());
  float* const rows = rows_RV.mutable_data_ptr<float>();
  const std::int64_t grain = 1 + kNumbersPerThread / width;
  at::parallel_for(0, num_rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      plan_.outcome_of(ids_of(row), {rows + row * width, static_cast<std::size_t>(width)},
                       outcomes_[static_cast<std::size_t>(row)]);
  });
  return outcomes_;
}

}  // namespace capstan::search
