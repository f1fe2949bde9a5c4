// Porter's English suffix stripping, as rouge_score uses it.
#pragma once
#include <string>

namespace capstan {

// Replaces `word` (lower-case ASCII letters and digits) by its stem. The algorithm is Porter's, "An algorithm for
// suffix stripping", Program 14 (1980), with the deviations of NLTK's PorterStemmer in its default mode, whose results
// this reproduces. Linear in the length of the word.
void porter_stem(std::string& word);

}  // namespace capstan
